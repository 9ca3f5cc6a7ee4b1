//! What the kernel says of a TCP connection: `TCP_INFO` (tcp(7)), of which an operator wants to know some numbers.

use super::stream::Stream;
use crate::recorder::TcpState;

/// Asks; `None` where the system does not say.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn tcp_info(stream: &Stream) -> Option<TcpState> {
    let info = nix::sys::socket::getsockopt(stream.socket()?, option::TcpInfo).ok()?;
    Some(TcpState {
        rtt_us: info.tcpi_rtt,
        rtt_var_us: info.tcpi_rttvar,
        retransmits: info.tcpi_retransmits,
        retransmits_in_all: info.tcpi_total_retrans,
        unacked: info.tcpi_unacked,
        lost: info.tcpi_lost,
        probes: info.tcpi_probes,
        congestion_window: info.tcpi_snd_cwnd,
        last_sent_ms: info.tcpi_last_data_sent,
        last_received_ms: info.tcpi_last_data_recv,
        last_ack_ms: info.tcpi_last_ack_recv,
    })
}

/// Other systems have other shapes of it; the structure of musl is longer than the answer of some kernels.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) const fn tcp_info(_: &Stream) -> Option<TcpState> {
    None
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod option {
    use nix::sys::socket::sockopt::GetStruct;

    #[derive(Debug, Clone, Copy)]
    pub(super) struct TcpInfo;

    nix::getsockopt_impl!(
        TcpInfo,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        libc::tcp_info,
        GetStruct<libc::tcp_info>
    );
}
