/** Times a node by its pods: exec through the API, how soon a container that ended runs again. */
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { answer, openApi, parseArguments, readKubeconfig, text } from './api.ts'

export interface NodeTimes {
  execMs: number[]
  restartMs: number[]
  /** Ids of a container that ended and of the one that took its place; their pods are left. */
  restarts: { ended: string; begun: string }[]
}

interface Pod { metadata: { name: string }; status?: { phase?: string; containerStatuses?: { restartCount: number; containerID?: string; state: { running?: object }; lastState: { terminated?: { containerID?: string } } }[] } }

const { kubeconfig, nodeName, execIn, execs, restarts } = parseArguments<{ kubeconfig: string; nodeName: string; execIn: string; execs: number; restarts: number }>()
const { server, tls } = readKubeconfig(kubeconfig)
const api = openApi(kubeconfig, 4)
const PODS = '/api/v1/namespaces/default/pods'
const TIMEOUT_MS = 60_000

/** With its connection, as kubectl's. */
function exec(): Promise<number> {
  const startMs = performance.now()
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${server.replace('https', 'wss')}${PODS}/${execIn}/exec?command=true&stdout=1&stderr=1`, 'v5.channel.k8s.io', tls)
    let status = ''
    socket.on('message', (data: Buffer) => { if (data[0] === 3) status = data.toString('utf8', 1) })
    socket.on('close', () => { if (status.includes('"Success"')) resolve(performance.now() - startMs); else reject(new Error(`exec ended with ${status}`)) })
    socket.on('error', reject)
  })
}

async function runPod(name: string, spec: object, isDone: (pod: Pod) => boolean): Promise<void> {
  const stream = await api.stream(`${PODS}?watch=1&fieldSelector=metadata.name%3D${name}`)
  stream.on('error', () => { /* ended below */ })
  const events = createInterface({ input: stream })
  events.on('error', () => { /* the same */ })
  const done = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} was not done within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS)
    events.on('line', (line) => {
      if (!isDone((JSON.parse(line) as { object: Pod }).object)) return
      clearTimeout(timer)
      resolve()
    })
  })
  await api.ask('POST', PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { what: 'timed' } }, spec: { nodeName, terminationGracePeriodSeconds: 1, ...spec } })
  await done
  stream.destroy()
}

/** Lines with the runtime's own times. */
async function logOf(name: string, query = ''): Promise<{ atMs: number; line: string }[]> {
  const all = await text(await api.stream(`${PODS}/${name}/log?timestamps=true${query}`))
  return all.trimEnd().split('\n').map((line) => {
    const space = line.indexOf(' ')
    return { atMs: preciseMs(line.slice(0, space)), line: line.slice(space + 1) }
  })
}

/** RFC 3339 with nanoseconds; Date keeps milliseconds only, which is enough here. */
const preciseMs = (time: string): number => Date.parse(time)

const container = (script: string) => ({ name: 'main', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] })

const execMs: number[] = []
for (let i = 0; i < execs; i++) execMs.push(await exec())

const restartMs: number[] = []
const restarted: NodeTimes['restarts'] = []
const bareId = (id = ''): string => id.replace(/^.*:\/\//, '')
for (let i = 0; i < restarts; i++) {
  const name = `again-${i}`
  await runPod(name, { containers: [container('echo begin; sleep 1; echo end; [ -e /kept/ran ] && exec sleep 3600; touch /kept/ran; exit 1')].map((c) => ({ ...c, volumeMounts: [{ name: 'kept', mountPath: '/kept' }] })), volumes: [{ name: 'kept', emptyDir: {} }] },
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1 && status.containerStatuses[0].state.running !== undefined)
  const ended = (await logOf(name, '&previous=true')).at(-1)
  const begun = (await logOf(name)).at(0)
  if (!ended || !begun) throw new Error(`${name} logged nothing`)
  restartMs.push(begun.atMs - ended.atMs)
  const [status] = (await api.ask<Pod>('GET', `${PODS}/${name}`)).status?.containerStatuses ?? []
  restarted.push({ ended: bareId(status?.lastState.terminated?.containerID), begun: bareId(status?.containerID) })
}

api.close()
answer({ execMs, restartMs, restarts: restarted } satisfies NodeTimes)
process.exit(0)
