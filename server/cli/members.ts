/** `skiff members list|remove`: which servers the cluster has. The one that leads does what is asked for here. */
import { ApiError, type Client } from '#api/client/client.ts'
import { ENDPOINT_SLICES, type EndpointSlice } from '#api/types/index.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { hostOf } from '../cluster/decide-members.ts'
import { readServers, writeServers, type ServerEntry } from '../cluster/servers.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient } from './admin-client.ts'
import { clock } from './environment.ts'
import { parseFlags } from './flags.ts'
import { text } from './node-config.ts'
import { MEMBERS_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

const REMOVED_MS_MAX = 30_000
const LOOK_MS = 300
/** A server that was removed ends; one that is only busy answers again within this. */
const SILENT_MS_MAX = 3_000

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('members'))
    return 0
  }
  const { values, positionals: [word, ...names] } = parseFlags('members', MEMBERS_FLAGS, { argv, env: {}, readConfig: () => ({}) })
  if (word !== 'list' && word !== 'remove') throw new UsageError(`skiff members ${word === undefined ? 'needs' : `knows no ${JSON.stringify(word)}, only`} list or remove; skiff members --help tells more`)
  if (word === 'list' && names.length > 0) throw new UsageError(`skiff members list takes no argument ${JSON.stringify(names[0])}`)
  const [name] = names
  if (word === 'remove' && (name === undefined || names.length > 1)) throw new UsageError('skiff members remove needs the name of one server; skiff members list shows them')
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    if (name === undefined) process.stdout.write(await listing(admin.client, values['json'] === true))
    else await remove(admin.client, name)
    return 0
  } catch (error) {
    throw explainApiFailure(error, admin)
  } finally {
    admin.close()
  }
}

async function listing(client: Client, asJson: boolean): Promise<string> {
  const entries = await readServers(client)
  const { items } = await client.list<EndpointSlice>(ENDPOINT_SLICES, { namespace: 'default', labelSelector: 'kubernetes.io/service-name=kubernetes' })
  const reachable = new Set(items.flatMap((slice) => (slice.endpoints ?? []).flatMap((e) => e.addresses)))
  const rows = [...entries].map(([id, e]) => ({ name: e.name, address: e.address, status: statusOf(e, reachable), id })).sort((a, b) => (a.name < b.name ? -1 : 1))
  if (asJson) return `${JSON.stringify(rows, undefined, 2)}\n`
  if (rows.length === 0) return 'This server is alone: start it with --cluster-init to let others join.\n'
  const table = [['NAME', 'ADDRESS', 'STATUS', 'ID'], ...rows.map((r) => [r.name, r.address, r.status, String(r.id)])]
  const widths = [0, 1, 2].map((i) => Math.max(...table.map((row) => row[i]?.length ?? 0)) + 3)
  return `${table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('').trimEnd()).join('\n')}\n`
}

function statusOf(entry: ServerEntry, reachable: ReadonlySet<string>): string {
  if (entry.removing) return 'Leaving'
  if (entry.stopping) return 'Stopped'
  return reachable.has(hostOf(entry.address)) ? 'Ready' : 'NotReady'
}

async function remove(client: Client, name: string): Promise<void> {
  const entries = await readServers(client)
  const [id, entry] = [...entries].find(([, e]) => e.name === name || e.address === name) ?? []
  if (id === undefined || entry === undefined) throw new CodedError('MEMBER_UNKNOWN', `there is no server ${JSON.stringify(name)}; skiff members list shows them`)
  if (entries.size === 1) throw new CodedError('LAST_MEMBER', `${name} is the only server of the cluster: stop it, and the cluster with it`)
  await writeServers(client, new Map([[id, { ...entry, removing: true }]]))
  let heardMs = clock.monotonicMs()
  for (const untilMs = heardMs + REMOVED_MS_MAX; ;) {
    try {
      if (!(await readServers(client)).has(id)) break
      heardMs = clock.monotonicMs()
    } catch (error) {
      // The wish is in the store. Who asks the server that goes hears no more of it: it ends as soon as it is out.
      if (error instanceof ApiError && error.code < 500) throw error
      if (clock.monotonicMs() - heardMs > SILENT_MS_MAX) {
        process.stdout.write(`${name} is on its way out, and the server that was asked answers no more: where that is ${name} itself, it has gone; skiff members list at another server tells\n`)
        return
      }
    }
    if (clock.monotonicMs() > untilMs) throw new CodedError('NOT_REMOVED_YET', `${name} could not be removed within ${REMOVED_MS_MAX / 1000} s: the servers go on trying; skiff members list tells whether it is gone`)
    await clock.sleep(LOOK_MS)
  }
  process.stdout.write(`${name} is no server of the cluster any more; its Node, if it has one, is left: kubectl delete node ${name}\n`)
}
