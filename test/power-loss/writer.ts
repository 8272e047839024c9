/**
 * Clients that write all the time, each its own objects, and note when they asked and when they were told that it is stored.
 * `node writer.ts '{"server": URL, "kubeconfig": FILE, "out": FILE, "writers": 8, "writes": 200, "seed": 1}'`
 */
import { writeFileSync } from 'node:fs'
import { seededRandom } from '#base/random.ts'
import { readCredentials, RecordedClient, type ConfigMap } from '../linearizability/client.ts'
import { fillerOf, type Write } from './expectation.ts'

export interface WriterOptions { server: string; kubeconfig: string; out: string; writers: number; writes: number; seed: number }

const PATH = '/api/v1/namespaces/default/configmaps'
const OBJECTS = 12

const options = JSON.parse(process.argv[2] ?? '{}') as WriterOptions
const credentials = readCredentials(options.kubeconfig)
const writes: Write[] = []
await Promise.all(Array.from({ length: options.writers }, (_, i) => work(i)))
writeFileSync(options.out, JSON.stringify(writes))
process.exit(0)

async function work(writer: number): Promise<void> {
  const client = new RecordedClient(credentials, 20_000)
  const random = seededRandom(options.seed * 100 + writer)
  const isThere = new Set<string>()
  for (let n = 1; n <= options.writes; n++) {
    const name = `power-${writer}-${Math.floor(random.next() * OBJECTS)}`
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { n: String(n), filler: fillerOf(name, n) } }
    const deletes = isThere.has(name) && random.next() < 0.1
    // The whole millisecond before and after: never later asked for, never earlier told, than it was.
    const write: Write = { name, n, deletes, askedMs: Date.now() }
    writes.push(write)
    const answer = deletes ? await client.ask(options.server, 'DELETE', `${PATH}/${name}`) : isThere.has(name) ? await client.ask(options.server, 'PUT', `${PATH}/${name}`, object) : await client.ask(options.server, 'POST', PATH, object)
    if (answer.kind !== 'answer' || answer.status >= 300) throw new Error(`${name}: ${JSON.stringify(answer).slice(0, 400)}`)
    write.toldMs = Date.now() + 1
    if (!deletes) write.revision = Number((answer.body as ConfigMap).metadata.resourceVersion)
    if (deletes) isThere.delete(name)
    else isThere.add(name)
  }
  client.close()
}
