//! A pod of an application: the test's own threads, at an address of their own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::Arc,
};

use super::{Kube, Shared, manifest::Labels, namespaces::Namespaces, pod::NAMESPACE, rules::Endpoint};

/// An application's pod; gone when dropped.
#[derive(Debug)]
pub struct App {
    namespaces: Namespaces,
    shared: Arc<Shared>,
    ip: Ipv4Addr,
}

impl Kube {
    /// Makes one with these labels, in the namespace of everything else.
    pub fn app(&self, name: &str, labels: &[(&str, &str)]) -> App {
        self.app_in(NAMESPACE, name, labels)
    }

    /// Makes one in another namespace.
    pub fn app_in(&self, namespace: &str, name: &str, labels: &[(&str, &str)]) -> App {
        let ip = self.shared.world().new_ip();
        let namespaces = Namespaces::new("").expect("the cluster could be made, too");
        self.shared.network.connect(&namespaces, ip);
        let labels: Labels =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        let endpoint = Endpoint { name, namespace, ip, labels, is_ready: true, spec: None };
        self.shared.world().apps.push(endpoint);
        App { namespaces, shared: Arc::clone(&self.shared), ip }
    }
}

impl App {
    /// Does something in the pod, on a thread of its own: its sockets, and those of threads that it starts, are there.
    pub fn run<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.namespaces.enter_network();
                what()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs in the pod: a program of this machine, as root.
    pub fn command(&self) -> Command {
        self.namespaces.command()
    }

    /// Its address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Whether a TCP connection to there can be made.
    pub fn reaches(&self, addr: impl Into<SocketAddr>) -> bool {
        let addr = addr.into();
        self.run(|| {
            std::net::TcpStream::connect_timeout(&addr, std::time::Duration::from_millis(700)).is_ok()
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shared.world().apps.retain(|app| app.ip != self.ip);
    }
}
