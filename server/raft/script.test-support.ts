/**
 * Servers that do what a script says, step by step, and tell in words what comes of it. Nothing happens by itself: the
 * wire holds messages until they are delivered; disks sync at once unless a script holds them.
 *
 *   cluster VOTER... [learner=ID] [OPTION=VALUE...]   servers that know each other; only `cluster` begins anew
 *   new ID                        a server that waits to be added
 *   tick [TIMES] [ID...]          time goes on for all, or some
 *   campaign ID                   begins an election now
 *   elect ID                      the same, with all that follows, told in short
 *   propose ID TEXT...            one proposal of several entries
 *   read ID
 *   change ID +ID learner+ID -ID...
 *   transfer ID [TO]
 *   compact ID INDEX
 *   deliver [FROM>TO...]          what is on the wire, and what follows from it, until it is empty; or only what is there now between these
 *   lose FROM>TO...               what is on the wire between these
 *   cut ID... | heal              these servers and the others hear nothing of each other
 *   broken ID OTHER | connected ID OTHER   the first notices what became of its connection to the other
 *   hold ID... | sync ID...       the disk keeps writes to itself; lets them through
 *   full ID | room ID             the disk has no room, has it again
 *   crash ID... | start ID...
 *   forget ID INDEX               the disk of a server that is down has lost what came after, though it was synced
 *   status [ID...] | log [ID...]
 */
import { seededRandom } from '#base/random.ts'
import { emptyConfiguration, initialConfiguration, isJoint } from './configuration.ts'
import { defaultRaftOptions, Raft } from './raft.ts'
import { bytesOfMachine, Disk } from './sim/disk.ts'
import type { Core, MakeCore } from './sim/surroundings.ts'
import { NOBODY } from './types.ts'
import type { Configuration, Entry, LogIndex, MemberChange, MemberId, Message, Persist, RaftEvent, RaftOptions, RaftStatus, Ready, Snapshot } from './types.ts'

interface Server {
  readonly disk: Disk
  core: Core | undefined
  held: Persist[] | undefined
  applied: LogIndex
  told: string
  readonly snapshots: Map<string, { snapshot: Snapshot; bytes: Buffer }>
}

/** Commands stand alone on their lines, `----` and what came of them follows up to the next empty line; `#` begins a comment. */
export function play(text: string, makeCore: MakeCore = realCore): string {
  const cluster = new ScriptedCluster(makeCore)
  const blocks = text.trimEnd().split(/\n\n+/)
  return `${blocks.map((block) => {
    const lines = block.split('\n')
    const end = lines.indexOf('----')
    const given = end < 0 ? lines : lines.slice(0, end)
    const commands = given.filter((line) => !line.startsWith('#') && line.trim() !== '')
    if (commands.length === 0) return given.join('\n')
    const out = commands.flatMap((command) => cluster.run(command))
    return [...given, '----', ...(out.length > 0 ? out : ['nothing happens'])].join('\n')
  }).join('\n\n')}\n`
}

const realCore: MakeCore = (options, recovered, reader, random, nowMs) => new Raft(options, recovered, reader, random, nowMs)

class ScriptedCluster {
  readonly #makeCore: MakeCore
  readonly #servers = new Map<MemberId, Server>()
  #options: Partial<RaftOptions> = {}
  #wire: Message[] = []
  #cutOff = new Set<MemberId>()
  #nowMs = 0
  #nextId = 1
  #out: string[] = []

  constructor(makeCore: MakeCore) {
    this.#makeCore = makeCore
  }

  /** Runs one command; what it led to, line by line. */
  run(command: string): string[] {
    this.#out = []
    const [verb = '', ...words] = command.split(/\s+/)
    const ids = () => (words.length > 0 ? words.map(Number) : [...this.#servers.keys()])
    const [first = 0] = words.map(Number)
    switch (verb) {
      case 'cluster': this.#begin(words); break
      case 'new': this.#add(first, emptyConfiguration); break
      case 'tick': this.#tick(first || 1, words.slice(1).map(Number)); break
      case 'elect': this.#elect(first); break
      case 'campaign': this.#step(first, { kind: 'campaign' }); break
      case 'propose': this.#step(first, { kind: 'propose', id: this.#nextId++, data: words.slice(1).map((w) => Buffer.from(w)) }); break
      case 'read': this.#step(first, { kind: 'read', id: this.#nextId++ }); break
      case 'change': this.#step(first, { kind: 'changeMembers', id: this.#nextId++, changes: words.slice(1).map(changeOf) }); break
      case 'transfer': this.#step(first, { kind: 'transfer', to: Number(words[1] ?? NOBODY) }); break
      case 'compact': this.#compact(first, Number(words[1])); break
      case 'deliver': this.#deliver(words); break
      case 'lose': this.#lose(words); break
      case 'cut': this.#cutOff = new Set(ids()); break
      case 'heal': this.#cutOff = new Set(); break
      case 'broken': this.#step(first, { kind: 'connection', member: Number(words[1]), isThere: false }); break
      case 'connected': this.#step(first, { kind: 'connection', member: Number(words[1]), isThere: true }); break
      case 'hold': for (const id of ids()) this.#server(id).held ??= []; break
      case 'sync': for (const id of ids()) this.#sync(id); break
      case 'full': this.#step(first, { kind: 'diskFull', full: true }); break
      case 'room': this.#step(first, { kind: 'diskFull', full: false }); break
      case 'crash': for (const id of ids()) this.#crash(id); break
      case 'forget': this.#server(first).disk.forget(Number(words[1])); break
      case 'start': for (const id of ids()) this.#start(id); break
      case 'status': for (const id of ids()) this.#out.push(this.#status(id)); break
      case 'log': for (const id of ids()) this.#out.push(this.#log(id)); break
      default: throw new Error(`no such command: ${command}`)
    }
    return this.#out
  }

  #begin(words: readonly string[]): void {
    const options: Record<string, number | string> = { electionTicks: 5, reads: 'quorum' }
    const voters: number[] = []
    const learners: number[] = []
    for (const word of words) {
      const [name = '', value] = word.split('=')
      if (value === undefined) voters.push(Number(word))
      else if (name === 'learner') learners.push(Number(value))
      else options[name] = /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
    }
    this.#servers.clear()
    this.#wire = []
    this.#cutOff.clear()
    this.#nowMs = 0
    this.#nextId = 1
    this.#options = options
    const configuration = { ...initialConfiguration(Object.fromEntries(voters.map((id) => [String(id), `s${id}`]))), learners }
    for (const id of [...voters, ...learners]) this.#add(id, configuration)
    // Past the time in which a started server votes for nobody, as it may have promised that to a leader.
    this.#nowMs = 10_000
  }

  #elect(id: MemberId): void {
    this.#step(id, { kind: 'campaign' })
    this.#deliver([])
    this.#out = this.#out.filter((line) => /^\d+ leads/.test(line))
  }

  #add(id: MemberId, configuration: Configuration): void {
    this.#servers.set(id, { disk: new Disk(configuration), core: undefined, held: undefined, applied: 0, told: '', snapshots: new Map() })
    this.#start(id)
  }

  #start(id: MemberId): void {
    const server = this.#server(id)
    server.applied = server.disk.machine.index
    server.core = this.#makeCore({ ...defaultRaftOptions, ...this.#options, id }, server.disk.recover(), server.disk, seededRandom(id), this.#nowMs)
    server.told = this.#role(server.core.status())
    this.#step(id)
  }

  #crash(id: MemberId): void {
    const server = this.#server(id)
    server.core = undefined
    if (server.held && server.held.length > 0) this.#out.push(`${id} loses ${server.held.map(writeText).join('; ')}`)
    server.held = server.held && []
    server.snapshots.clear()
  }

  #tick(times: number, ids: readonly MemberId[]): void {
    for (let i = 0; i < times; i++) {
      this.#nowMs += defaultRaftOptions.tickMs
      for (const [id, server] of this.#servers) if (server.core && (ids.length === 0 || ids.includes(id))) this.#step(id, { kind: 'tick' })
    }
  }

  #compact(id: MemberId, index: LogIndex): void {
    const { core, disk } = this.#server(id)
    if (!core) throw new Error(`${id} is down`)
    const base = core.baseAt(Math.min(index, core.compactIndexMax()))
    disk.machine = { index: Math.max(base.index, disk.machine.index), chain: 0 }
    this.#step(id, { kind: 'compacted', index: base.index })
    disk.compact(base)
    this.#out.push(`${id} has a log after ${base.index}.${base.term}`)
  }

  #deliver(links: readonly string[]): void {
    if (links.length > 0) {
      const now = this.#wire.filter((m) => links.includes(`${m.from}>${m.to}`))
      this.#wire = this.#wire.filter((m) => !now.includes(m))
      for (const message of now) this.#receive(message)
      return
    }
    for (let i = 0, next = this.#wire.shift(); next; next = this.#wire.shift(), i++) {
      if (i > 500) throw new Error('there is no end to it')
      this.#receive(next)
    }
  }

  #receive(message: Message): void {
    const lost = this.#cutOff.has(message.from) !== this.#cutOff.has(message.to) || !this.#servers.get(message.to)?.core
    this.#out.push(`${messageText(message)}${lost ? ' (lost)' : ''}`)
    if (!lost) this.#step(message.to, { kind: 'message', message })
  }

  #lose(links: readonly string[]): void {
    for (const message of this.#wire) if (links.includes(`${message.from}>${message.to}`)) this.#out.push(`${messageText(message)} (lost)`)
    this.#wire = this.#wire.filter((m) => !links.includes(`${m.from}>${m.to}`))
  }

  #sync(id: MemberId): void {
    const server = this.#server(id)
    const held = server.held ?? []
    server.held = undefined
    for (const persist of held) this.#write(id, server, persist)
  }

  // -------------------------------------------------------------- a driver whose every act is told

  #step(id: MemberId, ...events: RaftEvent[]): void {
    const server = this.#server(id)
    if (!server.core) throw new Error(`${id} is down`)
    const ready = server.core.step(events, this.#nowMs)
    const role = this.#role(server.core.status())
    if (role !== server.told) this.#out.push(`${id} ${role}`)
    server.told = role
    this.#tell(id, ready)
    this.#wire.push(...ready.messages)
    if (ready.persist) {
      if (!ready.persist.nothing) this.#out.push(`${id} writes ${writeText(ready.persist)}${server.held ? ' (held)' : ''}`)
      if (server.held) server.held.push(ready.persist)
      else this.#write(id, server, ready.persist)
    }
    const last = ready.committed.at(-1)
    if (last) {
      this.#out.push(`${id} applies ${ready.committed.map(entryText).join(', ')}`)
      server.applied = last.index
      this.#step(id, { kind: 'applied', index: last.index })
    }
    for (const read of ready.snapshotReads) {
      let held = server.snapshots.get(read.snapshotId ?? '')
      const offsetBytes = held ? read.offsetBytes : 0
      if (!held) {
        const base = server.core.baseAt(server.applied)
        held = { snapshot: { ...base, id: `snapshot-${base.index}` }, bytes: bytesOfMachine({ index: base.index, chain: 0 }) }
        server.snapshots.set(held.snapshot.id, held)
      }
      const data = held.bytes.subarray(offsetBytes, offsetBytes + read.bytesMax)
      this.#step(id, { kind: 'snapshotRead', to: read.to, snapshot: held.snapshot, offsetBytes, data, last: offsetBytes + data.length >= held.bytes.length })
    }
    for (const { snapshot, offsetBytes, data, last: complete } of ready.snapshotWrites) {
      const bytes = Buffer.concat([offsetBytes > 0 ? (server.disk.partial?.bytes ?? Buffer.alloc(0)) : Buffer.alloc(0), data])
      server.disk.partial = { snapshot, bytes, complete }
      this.#out.push(`${id} stores ${bytes.length} bytes of ${snapshot.id}${complete ? ', all of it' : ''}`)
      this.#step(id, { kind: 'snapshotWritten', snapshotId: snapshot.id, offsetBytes: bytes.length, complete })
    }
  }

  #write(id: MemberId, server: Server, persist: Persist): void {
    server.disk.write(persist)
    server.disk.sync()
    if (persist.snapshot) server.applied = persist.snapshot.index
    this.#wire.push(...persist.messages)
    this.#step(id, { kind: 'persisted', sequence: persist.sequence })
  }

  #tell(id: MemberId, ready: Ready): void {
    for (const p of ready.proposals) this.#out.push(p.ok ? `${id}: proposal ${p.id} is in the log at ${p.index}.${p.term}` : `${id}: proposal ${p.id} is refused: ${p.why}`)
    for (const f of ready.forgotten) this.#out.push(`${id}: ${f.member} had acknowledged all up to ${f.acknowledged} and has lost it`)
    for (const r of ready.reads) this.#out.push(r.ok ? `${id}: read ${r.id} may be answered from ${r.index} on` : `${id}: read ${r.id} is refused: ${r.why}`)
  }

  #role(status: RaftStatus): string {
    const who = status.role === 'leader' ? `leads in term ${status.term}` : status.role !== 'follower' ? `is ${status.role === 'candidate' ? 'a candidate' : 'about to be a candidate'} in term ${status.term}` : status.leader ? `follows ${status.leader} in term ${status.term}` : `knows no leader in term ${status.term}`
    return `${who}${status.removed ? ', removed' : ''}`
  }

  #status(id: MemberId): string {
    const { core } = this.#server(id)
    if (!core) return `${id} is down`
    const s = core.status()
    const followers = s.followers.map((f) => `; ${f.member} ${f.state} match ${f.match} next ${f.next}${f.inFlight > 0 ? ` in flight ${f.inFlight}` : ''}`)
    return `${id} ${this.#role(s)}, log ${s.base + 1} to ${s.lastIndex}, commit ${s.commit}, ${configurationText(s.configuration)}${followers.join('')}`
  }

  #log(id: MemberId): string {
    const { disk } = this.#server(id)
    return `${id} has ${[disk.base.index > 0 ? `all up to ${disk.base.index}.${disk.base.term}` : '', ...disk.log.map(entryText)].filter(Boolean).join(', ') || 'nothing'} on disk`
  }

  #server(id: MemberId): Server {
    const server = this.#servers.get(id)
    if (!server) throw new Error(`there is no server ${id}`)
    return server
  }
}

function changeOf(word: string): MemberChange {
  const member = Number(/\d+$/.exec(word)?.[0])
  if (word.startsWith('-')) return { kind: 'remove', member }
  return { kind: word.startsWith('learner') ? 'addLearner' : 'addVoter', member, address: `s${member}` }
}

/** INDEX.TERM and what it holds. */
function entryText(entry: Entry): string {
  const what = entry.kind === 'normal' ? entry.data.toString() : entry.kind === 'empty' ? 'empty' : configurationText(JSON.parse(entry.data.toString()) as Configuration)
  return `${entry.index}.${entry.term} ${what}`
}

function configurationText(c: Configuration): string {
  const list = (name: string, ids: readonly MemberId[]) => (ids.length > 0 ? ` ${name} ${ids.join(' ')}` : '')
  return `[${isJoint(c) ? 'joint ' : ''}voters ${c.voters.join(' ') || 'none'}${list('before', c.outgoing)}${list('learners', c.learners)}${list('joining', c.joining)}]`
}

function writeText(p: Persist): string {
  const parts = [p.hardState && `term ${p.hardState.term}, vote ${p.hardState.vote || 'none'}`, p.snapshot && p.snapshot.id, p.entries.length > 0 && p.entries.map(entryText).join(', ')]
  return parts.filter(Boolean).join('; ') || 'nothing'
}

function messageText(m: Message): string {
  const head = `${m.from}>${m.to} term ${m.term}`
  switch (m.kind) {
    case 'append': return `${head} ${m.entries.length > 0 ? `append after ${m.prevIndex}.${m.prevTerm}: ${m.entries.map(entryText).join(', ')}` : `heartbeat after ${m.prevIndex}.${m.prevTerm}`}, commit ${m.commit}`
    case 'appendAnswer': return `${head} ${m.accepted ? `has it up to ${m.index}` : `refuses at ${m.index}, try ${m.hintIndex}.${m.hintTerm}`}`
    case 'vote': return `${head} ${m.pre ? 'would you vote' : 'vote'} for a log up to ${m.lastIndex}.${m.lastTerm}?${m.transfer ? ' (the leader wants it)' : ''}`
    case 'voteAnswer': return `${head} ${m.granted ? 'yes' : 'no'}${m.pre ? ', if it comes to it' : ''}${m.removed ? ', you were removed' : ''}`
    case 'timeoutNow': return `${head} begin an election now`
    case 'forward': return `${head} please append ${m.data.map(String).join(' ')}`
    case 'forwardAnswer': return `${head} ${m.refused ? `refused: ${m.refused}` : `it is at ${m.index}.${m.entryTerm}`}`
    case 'readIndex': return `${head} from where may I read?`
    case 'readIndexAnswer': return `${head} ${m.refused ? `refused: ${m.refused}` : `from ${m.index} on`}`
    case 'snapshot': return `${head} ${m.snapshot.id} (${m.snapshot.index}.${m.snapshot.term}) from byte ${m.offsetBytes}: ${m.data.length} bytes${m.last ? ', the end' : ''}`
    case 'snapshotAnswer': return `${head} go on with ${m.snapshotId} from byte ${m.offsetBytes}`
  }
}
