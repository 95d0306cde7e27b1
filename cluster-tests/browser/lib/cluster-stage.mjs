// The demo on a cluster: two instances, each with its connections on another of three nodes, through one address that leads to a
// node that is ready, as a Kubernetes Service does.

import { Cluster } from '../../compat/lib/cluster.mjs';
import { Service } from '../../compat/lib/service.mjs';
import { launchBrowser } from './browser.mjs';
import { Instance } from './instance.mjs';

export async function setClusterStage(test) {
  const down = [];
  test.after(async () => {
    for (const step of down.reverse()) await step();
  });
  const cluster = await Cluster.start();
  down.push(() => cluster.stop());
  const { nodes } = cluster;
  const instances = [];
  const services = [];
  for (const [index, name] of ['chat-1', 'chat-2'].entries()) {
    const service = await Service.start([...nodes.slice(index), ...nodes.slice(0, index)]);
    services.push(service);
    down.push(() => service.stop());
    const instance = await Instance.start(name, service.port);
    instances.push(instance);
    down.push(() => instance.stop());
  }
  const browser = await launchBrowser();
  down.push(() => browser.close());
  return { cluster, services, instances, browser };
}
