//! The chat demo beside the broker, as `deploy/examples/kubernetes-chat` deploys it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::Arc,
    time::Duration,
};

use carillon_cluster_tests::kube::{App, Pod, render};
use serde_json::Value;

use crate::{
    overlays::tls_stage,
    stage::{NAME, Stage},
};

/// The chat's Deployment and Service, and its port.
const CHAT: &str = "chat";
const CHAT_PORT: u16 = 3000;

/// People in the chat: `talk.mjs`.
struct People {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl People {
    /// One at each of these addresses.
    fn enter(app: &App, urls: &[String]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let clients = here.join("compat/node_modules");
        assert!(clients.join("socket.io-client").exists(), "run npm ci in compat first");
        let mut command = app.command();
        command.arg("node").arg(here.join("tests/kube/talk.mjs")).arg(clients).args(urls);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("nsenter runs");
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Self { process, input: input.expect("a pipe"), output: BufReader::new(output.expect("a pipe")) }
    }

    /// Has everybody say something that everybody hears, and nobody twice; the number of attempts.
    fn talk(&mut self) -> u64 {
        writeln!(self.input).expect("they listen");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("they answer");
        let told: Value = serde_json::from_str(&line).expect("JSON: see what node printed above");
        eprintln!("{told}");
        assert_eq!(told["twice"], false, "a message was heard twice");
        assert_eq!(told["connects"], 1, "a page lost its instance of the chat");
        told["attempts"].as_u64().expect("a number")
    }
}

impl Drop for People {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pods_of_the_chat(stage: &Stage) -> Vec<Arc<Pod>> {
    stage.kube.pods().into_iter().filter(|pod| pod.name.starts_with("chat-")).collect()
}

/// People at each pod and at the Service, and the pods.
fn enter(stage: &Stage) -> (People, Vec<Arc<Pod>>) {
    let pods = pods_of_the_chat(stage);
    let service = stage.kube.service(CHAT, CHAT_PORT);
    let addrs = pods.iter().map(|pod| format!("{}:{CHAT_PORT}", pod.ip)).chain([service.to_string()]);
    let urls: Vec<String> = addrs.map(|addr| format!("http://{addr}")).collect();
    assert_eq!(urls.len(), 4, "three replicas and their Service");
    (People::enter(&stage.app, &urls), pods)
}

#[test]
fn the_chat_speaks_tls_with_a_broker_that_speaks_nothing_else() {
    let Some((stage, _certifier, _first)) = tls_stage() else { return };
    let chat = "../carillon/deploy/examples/kubernetes-chat";
    let own = format!("resources: [{chat}]\ncomponents: [{chat}/tls]\n");
    stage.kube.apply(&[stage.objects.clone(), stage.kustomize.own(&own)].concat());
    stage.kube.wait_for_rollout(NAME);
    stage.kube.wait_for_rollout(CHAT);
    let (mut people, pods) = enter(&stage);
    people.talk();
    assert_eq!(people.talk(), 4, "everybody is heard at once");
    for pod in pods {
        assert!(pod.log().contains("broker carillon:6379 is connected"), "{}", pod.log());
    }
}

#[test]
fn the_chat_goes_on_while_a_broker_is_killed_and_another_stops() {
    let Some(stage) = Stage::install("three") else { return };
    stage.kube.apply(&[stage.objects.clone(), render::chat()].concat());
    stage.kube.wait_for_rollout(CHAT);
    let (mut people, pods) = enter(&stage);
    assert_eq!(people.talk(), 4, "nothing is wrong: everybody is heard at once");

    stage.kube.delete("carillon-1", Duration::ZERO);
    people.talk();
    stage.kube.wait_for_rollout(NAME);
    people.talk();
    stage.kube.delete("carillon-2", Duration::from_secs(30));
    people.talk();
    stage.kube.wait_for_rollout(NAME);
    // Whoever was on one of the two has connected again by now, or the attempts would have shown it.
    people.talk();
    assert_eq!(people.talk(), 4, "all is well again");

    for pod in pods {
        assert!(pod.log().contains("broker carillon:6379 is connected"), "{}", pod.log());
        assert_eq!(pod.status().restarts, 0, "{}", pod.log());
        assert!(!pod.status().is_terminating());
    }
}
