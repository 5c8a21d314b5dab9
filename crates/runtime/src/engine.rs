//! wasmtime's engine, set up so that guests are deterministic, bounded and cheap to start.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::RuntimeConfig;

/// Core instances in a component: the module, and the two shims that wit-component puts around it; room for as many
/// more in components of other tools.
const CORE_INSTANCES_PER_CALL: u32 = 8;
/// Tables in a component: the module's, the shims', and room.
const TABLES_PER_CALL: u32 = 8;
/// Memory that stays with a pooled instance when it is reset, in bytes: more than a small call touches. To clear the
/// touched pages is cheaper than to give them back and fault them in again, where the system tells which they are.
const MEMORY_KEEP_RESIDENT_BYTES: usize = 256 << 10;
/// The same for tables, which guests hardly change.
const TABLE_KEEP_RESIDENT_BYTES: usize = 16 << 10;

/// The engine.
pub(crate) fn engine(config: &RuntimeConfig) -> Result<Engine, wasmtime::Error> {
    let limits = &config.limits;
    let mut settings = Config::new();
    settings
        .wasm_component_model(true)
        // Determinism: one NaN, no threads, no instruction whose result depends on the machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        // What no guest of ours needs widens what must be trusted.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_stack_switching(false)
        .concurrency_support(false)
        .max_wasm_stack(limits.stack_bytes)
        .consume_fuel(limits.fuel.is_some())
        .epoch_interruption(limits.fuel.is_none())
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        // A trap is answered with the guest's own words; its frames have no names in a stripped module.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    Engine::new(&settings)
}

fn pool(config: &RuntimeConfig) -> PoolingAllocationConfig {
    let calls = config.concurrent_calls.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_CALL))
        .total_memories(calls)
        .total_tables(calls.saturating_mul(TABLES_PER_CALL))
        .max_core_instances_per_component(CORE_INSTANCES_PER_CALL)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES_PER_CALL)
        .max_memory_size(config.limits.memory_bytes)
        .table_elements(config.limits.table_elements)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        // Linux since 6.7; halves the cost of a small call.
        .pagemap_scan(Enabled::Auto);
    pool
}
