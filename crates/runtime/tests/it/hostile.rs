//! One guest for each limit that tries to exceed it, and guests that break other rules.

use std::sync::Arc;

use mesto_node::executor::{CallError, Executor as _, MethodKind};
use mesto_runtime::Limits;

use crate::guest::{SCHEMA, bundle, call, component, component_with, no_state, repeat, run, run_component, runtime};

fn limit(limit: &str, max: &str) -> CallError {
    CallError::Limit { limit: limit.to_owned(), max: max.to_owned() }
}

fn limits() -> Limits {
    Limits { wall_ms: 60_000, ..Limits::default() }
}

/// What the body runs into.
fn stopped(limits: Limits, body: &str) -> CallError {
    run(limits, body).expect_err("stopped")
}

#[test]
fn a_guest_that_behaves_gets_its_result() {
    let outcome = run(limits(), "call $open (call $add (global.get $counter) (i64.const 5))").expect("runs");
    assert_eq!(outcome.output, b"null");
    assert_eq!(outcome.ops.len(), 1);
}

#[test]
fn memory_beyond_its_limit() {
    let hoard = repeat(2_000, "(drop (memory.grow (i32.const 1)))");
    assert_eq!(stopped(limits(), &hoard), limit("memory_bytes", "67108864 bytes"));
    let one_mib = Limits { memory_bytes: 1 << 20, ..limits() };
    assert_eq!(stopped(one_mib, &hoard), limit("memory_bytes", "1048576 bytes"));
}

#[test]
fn a_table_beyond_its_limit() {
    let grow = "(drop (table.grow $table (ref.null func) (i32.const 100000)))";
    assert_eq!(stopped(limits(), grow), limit("table_elements", "100000 elements"));
}

#[test]
fn a_loop_without_end_meets_the_limit_of_wall_time() {
    let hasty = Limits { wall_ms: 50, ..Limits::default() };
    assert_eq!(stopped(hasty, "(loop $forever (br $forever))"), limit("wall_ms", "50 ms"));
}

#[test]
fn a_call_that_does_not_end_briefly_leaves_nothing_and_runs_anew() {
    let runtime = runtime(Limits { wall_ms: 60_000, ..Limits::default() });
    // Some fifty milliseconds of work, and hardly any without arguments.
    let work = "(local.set $i (i32.const 100000000))
        (if (i32.eq (local.get 3) (i32.const 2)) (then (local.set $i (i32.const 10))))
        (loop $more (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    runtime.load(bundle(), &component(work)).expect("loads");
    let brief = call("run", "{}", MethodKind::Mutate);
    assert_eq!(runtime.execute_briefly(&brief, no_state()), Some(runtime.execute(&brief, no_state())));
    let long = call("run", r#"{"a":1}"#, MethodKind::Mutate);
    assert_eq!(runtime.execute_briefly(&long, no_state()), None);
    assert!(runtime.execute(&long, no_state()).is_ok());
}

#[test]
fn a_loop_without_end_meets_the_limit_of_fuel_at_the_same_place_each_time() {
    let fuel = Limits { fuel: Some(10_000), ..Limits::default() };
    assert_eq!(stopped(fuel.clone(), "(loop $forever (br $forever))"), limit("fuel", "10000 units"));
    let log_now_and_then = repeat(1_000_000, "(call $log (i32.const 256) (i32.const 1))");
    assert_eq!(stopped(fuel.clone(), &log_now_and_then), stopped(fuel, &log_now_and_then));
}

#[test]
fn a_start_function_without_end_cannot_be_loaded() {
    let spin = "(func $spin (loop $forever (br $forever))) (start $spin)";
    let runtime = runtime(Limits { wall_ms: 50, ..Limits::default() });
    let error = runtime.load(bundle(), &component_with(SCHEMA, "", spin)).expect_err("refused");
    assert!(error.to_string().contains("wall_ms"), "{error}");
}

#[test]
fn recursion_without_end_meets_the_limit_of_the_stack() {
    let recurse = "(func $recurse (call $recurse))";
    let error = run_component(limits(), &component_with(SCHEMA, "call $recurse", recurse)).expect_err("stopped");
    assert_eq!(error, limit("stack_bytes", "524288 bytes"));
}

#[test]
fn calls_of_the_host_beyond_their_limit() {
    let few = Limits { host_calls: 100, ..limits() };
    assert_eq!(stopped(few.clone(), &repeat(101, "(drop (call $now))")), limit("host_calls", "100 calls"));
    assert!(run(few, &repeat(100, "(drop (call $now))")).is_ok());
}

#[test]
fn a_key_beyond_its_limit() {
    let body = |length: u32| {
        format!(
            "call $open (call $insert (global.get $map) (i32.const 256) (i32.const {length}) (i32.const 256) (i32.const 1))"
        )
    };
    assert_eq!(stopped(limits(), &body(1_025)), limit("key_bytes", "1024 bytes"));
    assert!(run(limits(), &body(1_024)).is_ok());
}

#[test]
fn a_value_beyond_its_limit() {
    let body = "(drop (memory.grow (i32.const 200))) call $open
        (call $write (global.get $register) (i32.const 256) (i32.const 10485761))";
    assert_eq!(stopped(limits(), body), limit("value_bytes", "10485760 bytes"));
}

#[test]
fn changes_beyond_the_longest_delta() {
    let insert = "(i32.store (i32.const 256) (local.get $i))
        (call $insert (global.get $map) (i32.const 256) (i32.const 4) (i32.const 256) (i32.const 1000000))";
    let body = format!("(drop (memory.grow (i32.const 20))) call $open {}", repeat(17, insert));
    assert_eq!(stopped(limits(), &body), limit("delta_bytes", "16777216 bytes"));
}

#[test]
fn collections_beyond_their_limit() {
    let open = "(i32.store (i32.const 256) (local.get $i))
        (drop (call $child (global.get $map) (i32.const 256) (i32.const 4) (i32.const 1)))";
    let error = stopped(limits(), &format!("call $open {}", repeat(70_000, open)));
    assert_eq!(error, limit("collections", "65536 collections"));
}

#[test]
fn events_beyond_their_limits() {
    let emit = |length: u32| {
        format!(
            "(call $emit (i32.const 256) (i32.const {length}) (i32.const 32) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0))"
        )
    };
    assert_eq!(stopped(limits(), &repeat(101, &emit(1))), limit("events", "100 events"));
    assert_eq!(run(limits(), &repeat(100, &emit(1))).expect("runs").events.len(), 100);
    let short = Limits { event_bytes: 100, ..limits() };
    assert_eq!(stopped(short, &emit(99)), limit("event_bytes", "100 bytes"));
}

#[test]
fn lines_to_the_log_beyond_their_limits() {
    let log = |length: u32| format!("(call $log (i32.const 256) (i32.const {length}))");
    assert_eq!(stopped(limits(), &repeat(1_025, &log(1))), limit("logs", "1024 lines"));
    assert_eq!(run(limits(), &repeat(1_024, &log(1))).expect("runs").logs.len(), 1_024);
    let short = Limits { log_bytes: 100, ..limits() };
    assert_eq!(stopped(short, &log(101)), limit("log_bytes", "100 bytes"));
}

#[test]
fn random_bytes_beyond_their_limit() {
    let draw = |length: u32| format!("(call $random (i32.const {length}) (i32.const 128))");
    assert_eq!(stopped(limits(), &draw(u32::MAX)), limit("random_bytes", "1048576 bytes"));
    assert_eq!(stopped(limits(), &repeat(1_025, &draw(1_024))), limit("random_bytes", "1048576 bytes"));
}

#[test]
fn arguments_beyond_their_limit() {
    let runtime = runtime(Limits { args_bytes: 10, ..limits() });
    runtime.load(bundle(), &component("")).expect("loads");
    let long = call("run", r#"{"key":"value"}"#, MethodKind::Mutate);
    assert_eq!(runtime.execute(&long, no_state()), Err(limit("args_bytes", "10 bytes")));
}

#[test]
fn a_result_beyond_its_limit() {
    let long =
        "(drop (memory.grow (i32.const 200))) (memory.fill (i32.const 65536) (i32.const 32) (i32.const 10485761))
        (global.set $text (i32.const 65536)) (global.set $text_len (i32.const 10485761))";
    assert_eq!(stopped(limits(), long), limit("result_bytes", "10485760 bytes"));
}

#[test]
fn a_result_that_is_not_json() {
    let letters = "(global.set $text (i32.const 256))";
    assert_eq!(stopped(limits(), letters), CallError::Trap("the result is not JSON".to_owned()));
}

#[test]
fn an_event_whose_payload_is_not_json() {
    let emit = "(call $emit (i32.const 256) (i32.const 1) (i32.const 256) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0))";
    assert!(matches!(stopped(limits(), emit), CallError::Trap(text) if text.contains("not JSON")));
}

#[test]
fn a_result_outside_of_memory_or_that_is_not_text() {
    assert!(matches!(stopped(limits(), "(global.set $text (i32.const -1))"), CallError::Trap(_)));
    let bytes = "(i32.store (i32.const 128) (i32.const -1)) (global.set $text (i32.const 128))";
    assert!(matches!(stopped(limits(), bytes), CallError::Trap(_)));
}

#[test]
fn a_view_cannot_write_whatever_its_code_does() {
    let writes = [
        "(call $add (global.get $counter) (i64.const 1))",
        "(call $write (global.get $register) (i32.const 256) (i32.const 1))",
        "(call $insert (global.get $map) (i32.const 256) (i32.const 1) (i32.const 256) (i32.const 1))",
        "(call $emit (i32.const 256) (i32.const 1) (i32.const 32) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0))",
    ];
    for write in writes {
        let runtime = runtime(limits());
        runtime.load(bundle(), &component(&format!("call $open {write}"))).expect("loads");
        let execute = |method, kind| runtime.execute(&call(method, "{}", kind), no_state());
        let refused = |method: &str| Err(CallError::ViewWrites(method.to_owned()));
        assert_eq!(execute("look", MethodKind::View), refused("look"));
        assert_eq!(execute("look", MethodKind::Mutate), refused("look"), "the schema says that it is a view");
        assert_eq!(execute("run", MethodKind::View), refused("run"), "the call says that it is a view");
        assert!(execute("run", MethodKind::Mutate).is_ok());
    }
}

#[test]
fn a_collection_used_as_what_it_is_not() {
    let confused = "call $open (call $add (global.get $map) (i64.const 1))";
    assert!(matches!(stopped(limits(), confused), CallError::Trap(text) if text.contains("Counter")));
    let forged = "(call $add (i32.const 77) (i64.const 1))";
    assert!(matches!(stopped(limits(), forged), CallError::Trap(_)));
}

#[test]
fn a_panic_is_answered_with_its_text_and_leaves_nothing() {
    let panic = "call $open (call $add (global.get $counter) (i64.const 1))
        (call $panicked (i32.const 256) (i32.const 3)) unreachable";
    assert_eq!(stopped(limits(), panic), CallError::Trap("kkk".to_owned()));
    assert!(matches!(stopped(limits(), "unreachable"), CallError::Trap(text) if text.contains("unreachable")));
}

#[test]
fn a_limit_is_told_even_if_the_guest_says_something_else() {
    let body = format!(
        "(call $panicked (i32.const 256) (i32.const 3)) {}",
        repeat(1_025, "(call $log (i32.const 256) (i32.const 1))")
    );
    assert_eq!(stopped(limits(), &body), limit("logs", "1024 lines"));
}

#[test]
fn nothing_lasts_from_one_call_to_the_next() {
    let count = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store8 (i32.const 128) (i32.add (i32.const 48) (global.get $calls)))
        (i32.store8 (i32.const 129) (i32.add (i32.const 48) (i32.load8_u (i32.const 60000))))
        (i32.store8 (i32.const 60000) (i32.const 1))
        (global.set $text (i32.const 128)) (global.set $text_len (i32.const 2))";
    let runtime = runtime(limits());
    runtime.load(bundle(), &component(count)).expect("loads");
    for _ in 0..20 {
        let outcome = runtime.execute(&call("run", "{}", MethodKind::Mutate), no_state()).expect("runs");
        assert_eq!(outcome.output, b"10");
    }
}

#[test]
fn random_bytes_are_a_function_of_the_calls_seed() {
    let mut expected = [0; 8];
    let mut hasher = blake3::Hasher::new_derive_key("mesto 2026 call randomness v1");
    hasher.update(&call("run", "{}", MethodKind::Mutate).seed);
    hasher.finalize_xof().fill(&mut expected);
    let [first, second] = [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|byte| expected[at + byte])));
    // Two draws of four bytes are one of eight.
    let draw = |expected: u32| {
        format!(
            "(call $random (i32.const 4) (i32.const 128))
            (if (i32.ne (i32.load (i32.load (i32.const 128))) (i32.const {expected})) (then unreachable))"
        )
    };
    assert!(run(limits(), &format!("{} {}", draw(first), draw(second))).is_ok());
    assert!(run(limits(), &draw(second)).is_err());
}

#[test]
fn there_is_one_nan() {
    // A machine that passed a payload on would give 0x7fe00001 or, with the sign of 0/0 on x86, 0xffc00000.
    let nans = "(f32.store (i32.const 128) (f32.add (f32.const nan:0x200001) (f32.const 1)))
        (f32.store (i32.const 132) (f32.div (f32.const 0) (f32.const 0)))
        (if (i32.and
                (i32.eq (i32.load (i32.const 128)) (i32.const 0x7fc00000))
                (i32.eq (i32.load (i32.const 132)) (i32.const 0x7fc00000)))
            (then) (else unreachable))";
    assert!(run(limits(), nans).is_ok());
}

#[test]
fn more_callers_than_instances_all_get_their_answers() {
    let runtime = Arc::new(runtime(limits()));
    runtime.load(bundle(), &component("")).expect("loads");
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let runtime = Arc::clone(&runtime);
            std::thread::spawn(move || {
                for _ in 0..50 {
                    runtime.execute(&call("look", "{}", MethodKind::View), no_state()).expect("runs");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("no caller panics");
    }
}

#[test]
fn a_stopped_call_leaves_the_runtime_as_it_was() {
    let runtime = runtime(Limits { wall_ms: 50, ..Limits::default() });
    let crash = r#"(if (i32.eq (local.get 3) (i32.const 2)) (then) (else unreachable))"#;
    runtime.load(bundle(), &component(crash)).expect("loads");
    for _ in 0..20 {
        let stopped = runtime.execute(&call("run", r#"{"a":1}"#, MethodKind::Mutate), no_state());
        assert!(matches!(stopped, Err(CallError::Trap(_))));
        assert!(runtime.execute(&call("run", "{}", MethodKind::Mutate), no_state()).is_ok());
    }
}

/// Inserts 256 characters into the text at a place.
fn insert_at(at: u64) -> String {
    format!(
        "(call $text_splice (global.get $writing) (i32.const 0) (i64.const {at}) (i64.const 0) (i32.const 256) (i32.const 256))"
    )
}

#[test]
fn a_place_that_a_text_or_list_does_not_have() {
    let beyond = |place: &str| CallError::Trap(format!("place {place} is beyond the end, 256"));
    let text = |step: &str| stopped(limits(), &format!("call $open {} {step}", insert_at(0)));
    assert_eq!(text(&insert_at(257)), beyond("257"));
    assert_eq!(text(&insert_at(u64::MAX / 2)), beyond("9223372036854775807"));
    let delete = "(call $text_splice (global.get $writing) (i32.const 1) (i64.const 1) (i64.const -1) (i32.const 0) (i32.const 0))";
    assert_eq!(text(delete), beyond("18446744073709551615"));
    let slice = "(call $text_slice (global.get $writing) (i32.const 1) (i64.const 0) (i64.const 300) (i32.const 8))";
    assert_eq!(text(slice), beyond("300"));
    let line = "(drop (call $text_line_start (global.get $writing) (i32.const 0) (i64.const 7)))";
    assert!(matches!(text(line), CallError::Trap(_)));
    let moved = stopped(limits(), "call $open (call $list_move (global.get $list) (i64.const 0) (i64.const 1))");
    assert!(matches!(moved, CallError::Trap(_)));
    let other = stopped(limits(), "call $open (call $list_move (global.get $map) (i64.const 0) (i64.const 1))");
    assert!(matches!(other, CallError::Trap(_)), "a map is no list");
}

#[test]
fn a_text_beyond_what_one_call_may_change() {
    let little = Limits { delta_bytes: 10_000, ..limits() };
    let body = format!("call $open {}", repeat(1_000, &insert_at(0)));
    assert_eq!(stopped(little, &body), limit("delta_bytes", "10000 bytes"));
}

#[test]
fn what_is_kept_privately_beyond_its_limits() {
    let keep = |key: u32, value: u32| {
        format!("(call $keep (i32.const 256) (i32.const {key}) (i32.const 0) (i32.const {value}))")
    };
    let short = Limits { key_bytes: 8, value_bytes: 64, delta_bytes: 100, ..limits() };
    assert_eq!(stopped(short.clone(), &keep(9, 1)), limit("key_bytes", "8 bytes"));
    assert_eq!(stopped(short.clone(), &keep(1, 65)), limit("value_bytes", "64 bytes"));
    let both = format!("{} {}", keep(1, 64), keep(2, 64));
    assert_eq!(stopped(short.clone(), &both), limit("delta_bytes", "100 bytes"));
    let outcome = run(short, &keep(1, 64)).expect("runs");
    assert!(outcome.ops.is_empty());
    assert_eq!(outcome.private.len(), 1);
}

#[test]
fn passing_messages_beyond_their_limits() {
    let say = |len: u32| format!("(call $say (i32.const 256) (i32.const 1) (i32.const 16) (i32.const {len}))");
    assert_eq!(stopped(limits(), &repeat(17, &say(4))), limit("sayings", "16 messages"));
    assert_eq!(run(limits(), &repeat(16, &say(4))).expect("runs").sayings.len(), 16);
    assert_eq!(stopped(limits(), &say(5_000)), limit("saying_bytes", "4096 bytes"));
    assert!(matches!(stopped(limits(), &say(3)), CallError::Trap(_)), "`nul` is not JSON");
}

#[test]
fn a_view_keeps_tells_and_types_nothing() {
    let steps = [
        "(call $keep (i32.const 256) (i32.const 1) (i32.const 0) (i32.const 1))".to_owned(),
        "(call $say (i32.const 256) (i32.const 1) (i32.const 16) (i32.const 4))".to_owned(),
        insert_at(0),
    ];
    for step in steps {
        let runtime = runtime(limits());
        runtime.load(bundle(), &component(&format!("call $open {step}"))).expect("loads");
        let refused = runtime.execute(&call("look", "{}", MethodKind::View), no_state());
        assert_eq!(refused, Err(CallError::ViewWrites("look".to_owned())), "{step}");
    }
}
