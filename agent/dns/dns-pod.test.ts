import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog } from '#base/log.ts'
import { createNetwork } from '#cni/index.ts'
import { labMissing, NetnsLab } from '#cni/testing/netns-lab.ts'

test('a pod and its host reach the node\'s own resolver at the cluster DNS address', { skip: await labMissing() }, async () => {
  const lab = await NetnsLab.open()
  try {
    const host = await lab.host('host')
    const network = createNetwork({ clusterCidr: '10.42.0.0/16', podCidr: '10.42.0.0/24', nodeIp: host.ip, overlay: 'vxlan', stateDir: join(lab.folder, 'state') }, { log: silentLog, exec: host.exec, connect: host.connect })
    await network.start()
    const pod = await lab.pod('pod')
    await network.setup({ id: 'pod', netnsPath: pod.path, podName: 'pod', podNamespace: 'default', podUid: 'u', portMappings: [] })
    await writeFile(join(lab.folder, 'resolv.conf'), '')
    await host.spawn([process.execPath, join(import.meta.dirname, 'testing/serve.ts'), join(lab.folder, 'resolv.conf')], 'listening')
    for (const from of [pod, host]) {
      const found = await from.sh('busybox nslookup -type=a web.default.svc.cluster.local 10.43.0.10')
      assert.match(found, /Name:\s+web\.default\.svc\.cluster\.local\nAddress: 10\.43\.0\.100/)
      assert.match((await from.try('busybox nslookup -type=a gone.default.svc.cluster.local 10.43.0.10')).stdout, /NXDOMAIN/)
    }
    assert.equal((await host.sh('ip -4 -o addr show dev lo')).includes('10.43.0.10/32'), true)
  } finally {
    await lab.close()
  }
})
