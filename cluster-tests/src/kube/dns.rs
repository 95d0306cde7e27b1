//! The name server of the cluster's domain: records of Services and pods as
//! [Kubernetes specifies them](https://github.com/kubernetes/dns/blob/master/docs/specification.md).

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, SRV},
    },
};

/// Where all names of the cluster end, with the namespace of these tests.
pub(super) const DOMAIN: &str = "default.svc.cluster.local";

/// Seconds for which a record may be remembered: what `CoreDNS` says by default.
const TTL_S: u32 = 5;

/// Longest question.
const QUESTION_BYTES_MAX: usize = 1232;

/// Names, and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Addresses by name, without the domain.
    pub(super) hosts: BTreeMap<String, Vec<Ipv4Addr>>,
    /// Ports and hosts by `_port._protocol.service`, without the domain.
    pub(super) services: BTreeMap<String, Vec<(u16, String)>>,
    /// Nobody gets an answer.
    pub(super) is_silent: bool,
}

/// What the name server knows at the moment.
pub(super) type Known = Arc<Mutex<Records>>;

/// Answers for as long as the process runs, on a socket of the calling thread's network namespace.
pub(super) fn serve(addr: Ipv4Addr, known: &Known) {
    let socket = UdpSocket::bind(SocketAddrV4::new(addr, 53)).expect("the name server's address is its own");
    let known = Arc::clone(known);
    std::thread::spawn(move || {
        let mut question = [0; QUESTION_BYTES_MAX];
        while let Ok((len, client)) = socket.recv_from(&mut question) {
            let Ok(asked) = Message::from_vec(&question[..len]) else { continue };
            let records = known.lock().expect("nobody panics with it").clone();
            if records.is_silent {
                continue;
            }
            if let Ok(answer) = answer(asked, &records).to_vec() {
                // The one who asked may have gone.
                let _ = socket.send_to(&answer, client);
            }
        }
    });
}

fn answer(asked: Message, records: &Records) -> Message {
    let mut answer = asked.into_response();
    answer.metadata.authoritative = true;
    answer.metadata.recursion_available = true;
    answer.additionals.clear();
    let Some(query) = answer.queries.first().cloned() else { return answer };
    let asked = query.name().to_utf8().to_lowercase();
    let asked = asked.trim_end_matches('.');
    let name = asked.strip_suffix(DOMAIN).map(|name| name.trim_end_matches('.'));
    let hosts = name.and_then(|name| records.hosts.get(name));
    let services = name.and_then(|name| records.services.get(name));
    if hosts.is_none() && services.is_none() {
        // A name outside of the cluster is that of nobody, either.
        answer.metadata.response_code = ResponseCode::NXDomain;
        return answer;
    }
    let data: Vec<RData> = match query.query_type() {
        RecordType::A => hosts.into_iter().flatten().map(|ip| RData::A(A::from(*ip))).collect(),
        RecordType::SRV => services
            .into_iter()
            .flatten()
            .filter_map(|(port, host)| {
                let target = Name::from_utf8(format!("{host}.{DOMAIN}.")).ok()?;
                Some(RData::SRV(SRV::new(0, 100, *port, target)))
            })
            .collect(),
        // The name is there, and has no record of that kind.
        _ => Vec::new(),
    };
    answer.answers =
        data.into_iter().map(|data| Record::from_rdata(query.name().clone(), TTL_S, data)).collect();
    answer
}
