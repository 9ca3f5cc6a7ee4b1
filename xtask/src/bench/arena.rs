//! Where servers and load meet: a network of their own and a processor for each.
//!
//! The network is a namespace with nothing but a loopback, held by a process that does nothing. TCP's congestion control
//! is `reno` there: `bbr` paces, and on a loopback that measures its timers. Where no namespace can be made (it takes
//! root), everything runs on the machine's own loopback, and the run says so.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{exec, paths};

/// The processors of the server and of the load.
const SERVER_CPU: &str = "0";
const LOAD_CPU: &str = "1";

/// Makes the namespace what it should be, says so, and stays.
const HOLD: &str = "ip link set lo up && echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range \
    && { echo reno > /proc/sys/net/ipv4/tcp_congestion_control; echo 8192 > /proc/sys/net/core/somaxconn; \
    echo ready; exec sleep infinity; }";

/// Starts commands as they are to be measured.
pub(super) struct Arena {
    /// Who keeps the namespace.
    holder: Option<Child>,
}

impl Arena {
    pub(super) fn open() -> Result<Self> {
        for needed in ["taskset", "sh"] {
            ensure!(
                exec::on_path(needed),
                "`{needed}` is needed to bind programs to processors"
            );
        }
        let count = std::thread::available_parallelism()?.get();
        ensure!(count > 1, "server and load need a processor each");
        let holder = hold();
        if holder.is_none() {
            println!(
                "   no network namespace (it takes root, `unshare`, `nsenter` and `ip`): the machine's loopback is used"
            );
        }
        Ok(Self { holder })
    }

    /// What the page says about where it was measured.
    pub(super) const fn about(&self) -> &'static str {
        match self.holder {
            Some(_) => "in a network namespace of its own over loopback, TCP with reno",
            None => "over the machine's loopback",
        }
    }

    pub(super) fn server(&self, program: &Path) -> Command {
        self.command(SERVER_CPU, program.as_os_str())
    }

    pub(super) fn load(&self, program: &Path) -> Command {
        self.command(LOAD_CPU, program.as_os_str())
    }

    /// On both: where there are several servers, or one with several workers.
    pub(super) fn both(&self, program: &Path) -> Command {
        let both = format!("{SERVER_CPU},{LOAD_CPU}");
        self.command(&both, program.as_os_str())
    }

    /// Every word of it replaces itself by the next, so that the process is the program's in the end.
    fn command(&self, cpu: &str, program: &OsStr) -> Command {
        let limits = [
            "sh",
            "-c",
            "ulimit -Sn \"$(ulimit -Hn)\" && exec \"$@\"",
            "sh",
        ];
        let mut command = match &self.holder {
            Some(holder) => {
                let mut command = exec::command("nsenter");
                command.arg(format!("--net=/proc/{}/ns/net", holder.id()));
                command.args(limits);
                command
            }
            None => {
                let mut command = exec::command(limits[0]);
                command.args(&limits[1..]);
                command
            }
        };
        command.args(["taskset", "--cpu-list", cpu]).arg(program);
        command
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // It may be gone, which is as well.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn hold() -> Option<Child> {
    let here = ["unshare", "nsenter", "ip"]
        .iter()
        .all(|name| exec::on_path(name));
    if !here {
        return None;
    }
    let mut holder = exec::command("unshare")
        .args(["--net", "sh", "-c", HOLD])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut said = String::new();
    let mut reader = std::io::BufReader::new(holder.stdout.take()?);
    // It says one line, or ends without.
    let read = std::io::BufRead::read_line(&mut reader, &mut said);
    if read.is_ok() && said == "ready\n" {
        return Some(holder);
    }
    let _ = holder.kill();
    let _ = holder.wait();
    None
}

/// A server that runs; dropped, it is ended.
pub(super) struct Running {
    child: Child,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null());
        let child = command.spawn()?;
        Ok(Self { child })
    }

    /// The same, with what it says in a file of the target directory, and waited for.
    pub(super) fn start_logged(mut command: Command, program: &Path, name: &str) -> Result<Self> {
        let log = paths::target().join(format!("bench-{name}.log"));
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(log.try_clone()?).stderr(log);
        let server = Self::start(command)?;
        server.wait_for(program)?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has replaced the words in front of it: who is asked for its run time before is `sh`.
    fn wait_for(&self, program: &Path) -> Result<()> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let runs = std::fs::read_to_string(format!("/proc/{}/comm", self.pid()));
            let runs = runs.unwrap_or_default();
            // The kernel keeps 15 bytes of a name.
            if name.starts_with(runs.trim_end()) && !runs.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{name} did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
