/** A pod that prints, followed while it does, then read as a whole: does every line arrive, in order, and how fast? */
import { createInterface } from 'node:readline'
import { answer, openApi, parseArguments } from './api.ts'

export interface LogTimes {
  /** By the runtime's own times of the first and the last line. */
  writtenPerSecond: number
  /** In order, without a gap, while it was written. */
  followed: number
  /** From the last line's own time until the follower had it. */
  lagMs: number
  /** The same lines once more, all at once, if asked for. */
  read: number
  readPerSecond: number
}

/** `script`: prints the numbers from 0 to `lines` - 1, one at the beginning of each line, then stays. */
const { kubeconfig, nodeName, name, script, lines, twice } = parseArguments<{ kubeconfig: string; nodeName: string; name: string; script: string; lines: number; twice: boolean }>()
const api = openApi(kubeconfig, 4)
const PODS = '/api/v1/namespaces/default/pods'
const TIMEOUT_MS = 120_000

await api.ask('POST', PODS, {
  apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { what: 'logs' } },
  spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', `${script}; exec sleep 3600`] }] },
})

const followed = await readLines('&follow=true')
const readBeganMs = performance.now()
const again = twice ? await readLines('') : { inOrder: 0 }
const readMs = performance.now() - readBeganMs
api.close()
answer({
  writtenPerSecond: (lines / (followed.lastAtMs - followed.firstAtMs)) * 1000, followed: followed.inOrder, lagMs: followed.endedAtMs - followed.lastAtMs,
  read: again.inOrder, readPerSecond: (again.inOrder / readMs) * 1000,
} satisfies LogTimes)
process.exit(0)

/** Until the last number was seen, or the stream's end. */
async function readLines(query: string): Promise<{ inOrder: number; firstAtMs: number; lastAtMs: number; endedAtMs: number }> {
  const stream = await begun(`${PODS}/${name}/log?timestamps=true${query}`)
  stream.on('error', () => { /* destroyed below */ })
  const reader = createInterface({ input: stream })
  reader.on('error', () => { /* the same */ })
  return new Promise((resolve, reject) => {
    const seen = { inOrder: 0, firstAtMs: 0, lastAtMs: 0 }
    const timer = setTimeout(() => reject(new Error(`${seen.inOrder} of ${lines} lines within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS)
    const end = () => {
      clearTimeout(timer)
      stream.destroy()
      resolve({ ...seen, endedAtMs: Date.now() })
    }
    let first = ''
    reader.on('line', (line) => {
      const space = line.indexOf(' ')
      if (!line.startsWith(String(seen.inOrder), space + 1)) return
      first ||= line.slice(0, space)
      seen.inOrder += 1
      if (seen.inOrder < lines) return
      seen.firstAtMs = Date.parse(first)
      seen.lastAtMs = Date.parse(line.slice(0, space))
      end()
    })
    reader.on('close', end)
  })
}

/** The log of a container that waits to be started is refused. */
async function begun(path: string) {
  const giveUpMs = performance.now() + TIMEOUT_MS
  for (;;) {
    try {
      return await api.stream(path)
    } catch (error) {
      if (performance.now() > giveUpMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
