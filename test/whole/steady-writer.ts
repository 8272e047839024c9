/**
 * A client that writes all the time and watches what it wrote, through whatever the server does meanwhile: run on a lab
 * host by the crash test. `node steady-writer.ts KUBECONFIG`; prints one JSON line per fact until its stdin closes:
 *   {"acked": NAME, "rv": REVISION}      the server said that it is stored
 *   {"final": {NAME: REVISION}, ...}     at the end: what is stored; what the watch never told, saw vanish, or saw go backwards
 */
import { createInformers } from '#api/client/informer.ts'
import { isReason } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { openAdminClient } from '#server/cli/admin-client.ts'

const WRITERS = 4
const admin = openAdminClient(process.argv[2] ?? '')
const stop = new AbortController()
const stopWatching = new AbortController()
process.stdin.on('end', () => stop.abort()).resume()
const say = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`)

const informers = createInformers(admin.client, { clock: systemClock, random: systemRandom, log: silentLog })
const cache = informers.of<ConfigMap>(CONFIG_MAPS, { namespace: 'crash' })
const vanished: string[] = []
const backwards: string[] = []
cache.onChange((before, after) => {
  if (before && !after) vanished.push(before.metadata.name)
  if (before && after && Number(after.metadata.resourceVersion) < Number(before.metadata.resourceVersion)) backwards.push(after.metadata.name)
})
const watching = informers.start(stopWatching.signal)

/** Each writer waits for its answer before the next write, so its acknowledged revisions must grow. */
async function write(writer: number): Promise<void> {
  let newest = 0
  for (let n = 0; !stop.signal.aborted; n++) {
    const name = `w${writer}-${n}`
    for (;;) {
      if (stop.signal.aborted) return
      try {
        const made = await admin.client.create<ConfigMap>(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'crash' }, data: { n: String(n), filler: 'x'.repeat(500) } })
        const revision = Number(made.metadata.resourceVersion)
        if (revision <= newest) backwards.push(name)
        newest = revision
        say({ acked: name, rv: revision })
        break
      } catch (error) {
        // Stored before the crash, the answer lost on the way: fine, and no promise was made.
        if (isReason(error, 'AlreadyExists')) break
        await systemClock.sleep(20)
      }
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, i) => write(i)))
const { items } = await admin.client.list<ConfigMap>(CONFIG_MAPS, { namespace: 'crash' })
const stored = items.filter((i) => /^w\d/.test(i.metadata.name))
/** Upstream's back-off lets a watch wait up to 30 s after so many failures; what it has not told by then it never tells. */
const missing = () => stored.filter((i) => cache.get(`crash/${i.metadata.name}`)?.metadata.resourceVersion !== i.metadata.resourceVersion).map((i) => i.metadata.name)
for (let tries = 0; missing().length > 0 && tries < 900; tries++) await systemClock.sleep(50)
say({ final: Object.fromEntries(stored.map((i) => [i.metadata.name, Number(i.metadata.resourceVersion)])), vanished, backwards, unwatched: missing() })
stopWatching.abort()
await watching.catch(() => undefined) // aborted above
admin.close()
