/** The test CSI driver as a process of its own on a lab host: `node csi-driver.ts NAME NODE-ID KUBELET-DIR STORAGE-DIR`. Ends with SIGTERM. */
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { startHostPathDriver } from '#agent/kubelet/volumes/csi/testing/host-path-driver.ts'

const [name = '', nodeId = '', kubeletDir = '', storageDir = ''] = process.argv.slice(2)
const log = createLog({ format: 'text', level: 'info', nowMs: () => systemClock.nowMs(), write: (line) => process.stdout.write(`${line}\n`) })
const driver = await startHostPathDriver({ name, nodeId, kubeletDir, storageDir, can: ['expand', 'getStats'], topology: { 'topology.hostpath.csi/node': nodeId }, clock: systemClock, log })
console.log('serving')
process.once('SIGTERM', () => {
  void driver.stop().then(() => process.exit(0))
})
