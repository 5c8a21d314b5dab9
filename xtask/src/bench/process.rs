//! What the system says about a process. Linux only, like the figures.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

/// CPU time that a process has used so far, in user and kernel mode, all threads together.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let text = read(pid, "stat")?;
    let ticks = ticks_in(&text).ok_or_else(|| anyhow!("/proc/{pid}/stat is not understood: {text}"))?;
    Ok(Duration::from_secs_f64(ticks / ticks_per_second()?))
}

/// Memory that a process has in use, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    let text = read(pid, "status")?;
    let kib = kib_in(&text).ok_or_else(|| anyhow!("/proc/{pid}/status has no VmRSS"))?;
    Ok(kib / 1024.0)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

fn ticks_per_second() -> Result<f64> {
    let output = Command::new("getconf").arg("CLK_TCK").output().context("cannot run getconf")?;
    String::from_utf8_lossy(&output.stdout).trim().parse().context("getconf CLK_TCK gave no number")
}

/// The fields utime and stime, which are the 12th and 13th after the name in parentheses.
fn ticks_in(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn kib_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 111 22 13 14";
        assert_eq!(ticks_in(stat), Some(133.0));
    }

    #[test]
    fn memory_is_what_is_resident() {
        assert_eq!(kib_in("VmPeak:\t 99 kB\nVmRSS:\t   2048 kB\n"), Some(2048.0));
    }
}
