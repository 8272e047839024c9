import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { cniFiles } from '#cni/plugin/files.ts'
import { connectRuntime } from '#cri/index.ts'
import { buildBusyboxImage } from '#test/images/build-image.ts'
import { CONTAINERD_MISSING, findContainerd, startContainerd } from '#test/images/containerd.ts'
import { pushImage, startRegistry } from '#test/images/registry.ts'
import { missingForContainers } from '#test/images/runtime-machine.ts'
import { removeCgroups } from '#test/lab/sweep.ts'
import { busyboxStreams, runtimeContract } from '../runtime.contract.ts'

const missing = await missingForContainers() || (await findContainerd() === undefined && CONTAINERD_MISSING)

/** A pod network that only claims to be one: each pod is told the same address. */
const ANSWERS = `#!/bin/sh
cat > /dev/null
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"version":"4","interface":0,"address":"10.42.0.2/24"}],"dns":{}}'
`

describe("Debian's containerd", { skip: missing }, () => {
  runtimeContract("Debian's containerd", async () => {
    const root = mkdtempSync(join(tmpdir(), 'skiff-containerd-'))
    const registry = await startRegistry({ dir: join(root, 'registry') })
    const imageRef = await pushImage(await buildBusyboxImage(join(root, 'image')), { host: registry.host, repository: 'busybox', tag: '1' })
    const ownImageRef = await pushImage(await buildBusyboxImage(join(root, 'pause'), { Entrypoint: ['sleep', '2147483647'] }), { host: registry.host, repository: 'pause', tag: '1' })
    const [cniBinDir, cniConfDir] = [join(root, 'cni-bin'), join(root, 'cni-conf')]
    for (const dir of [cniBinDir, cniConfDir]) mkdirSync(dir)
    for (const file of cniFiles({ confDir: cniConfDir, binDir: cniBinDir, socket: '/nowhere', pluginCommand: ['false'] })) writeFileSync(file.path, file.path.endsWith('skiff-cni') ? ANSWERS : file.content, { mode: file.mode })
    const containerd = await startContainerd({ dir: join(root, 'containerd'), sandboxImage: ownImageRef, cniBinDir, cniConfDir })
    const cgroupParent = `/${basename(root)}`
    const runtime = await connectRuntime({ endpoint: `unix://${containerd.socket}`, clock: systemClock, log: silentLog })
    return {
      runtime, imageRef, missingImageRef: `${registry.host}/busybox:none`, ownImageRef, logDirectory: join(root, 'logs'), cgroupParent,
      runsOn: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'], exitsWith: (code) => ['sh', '-c', `exit ${code}`], notStartable: ['/no/such/program'],
      prints: (text, code) => ['sh', '-c', `printf %s '${text}'; exit ${code}`], streams: busyboxStreams,
      async close() {
        for (const sandbox of await runtime.listPodSandbox()) await runtime.removePodSandbox(sandbox.id)
        await runtime.close()
        await containerd.stop()
        await registry.stop()
        await removeCgroups(cgroupParent)
        rmSync(root, { recursive: true, force: true })
      },
    }
  })
})
