/** Cores that were broken on purpose, to see that the simulation finds it: text of the core's files is changed in a copy. */
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Raft } from '../raft.ts'
import type { MakeCore } from './surroundings.ts'

export interface Mutant {
  /** What it does wrong. */
  readonly fault: string
  /** A seed that finds it (`0`: none known), or near to one that does: after a change to the core it may be another. */
  readonly seed: number
  /** It takes so many coincidences that a script has to bring them about. */
  readonly script?: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

const edit = (file: string, from: string, to: string) => ({ file, from, to })

export const mutants: readonly Mutant[] = [
  { fault: 'counts votes of earlier terms', seed: 0, script: 'election', edits: [
    edit('raft.ts', "m.kind === 'voteAnswer' && m.pre && m.granted", "m.kind === 'voteAnswer' && m.granted"),
    edit('election.ts', 'if (m.term !== (m.pre && m.granted ? s.term + 1 : s.term)) return\n', ''),
  ] },
  { fault: 'votes for several candidates in a term', seed: 9, edits: [edit('election.ts', '(s.vote === m.from || (s.vote === NOBODY && s.leader === NOBODY && !holdBack))', '!holdBack')] },
  { fault: 'votes for those whose log lacks entries', seed: 1, edits: [edit('election.ts', 'const upToDate = m.lastTerm > s.log.lastTerm || (m.lastTerm === s.log.lastTerm && m.lastIndex >= s.log.lastIndex)', 'const upToDate = true')] },
  { fault: 'compares the length of logs without their terms', seed: 106, edits: [edit('election.ts', 'm.lastTerm > s.log.lastTerm || (m.lastTerm === s.log.lastTerm && m.lastIndex >= s.log.lastIndex)', 'm.lastIndex >= s.log.lastIndex')] },
  { fault: 'does not write whom it voted for', seed: 0, script: 'election', edits: [edit('raft.ts', '{ term: s.term, vote: s.vote } : undefined', '{ term: s.term, vote: s.role === \'follower\' ? NOBODY : s.vote } : undefined')] },
  { fault: 'answers before its writes are synced', seed: 1, edits: [edit('state.ts', 's.writes.durable === s.writes.sequence) s.out.messages.push(message)\n  else s.out.afterPersist.push(message)', 's.writes.durable === s.writes.sequence) s.out.messages.push(message)\n  else s.out.messages.push(message)')] },
  { fault: 'speaks in a term that it may forget', seed: 0, script: 'durability', edits: [edit('state.ts', 'if (isHardStateDurable(s)) s.out.messages.push(message)', 'if (s.options.id > 0) s.out.messages.push(message)')] },
  { fault: 'commits entries of former terms by counting', seed: 0, script: 'replication', edits: [edit('replication.ts', ' || s.log.term(index) !== s.term) return', ') return')] },
  { fault: 'counts itself before its own sync', seed: 2, edits: [edit('replication.ts', 'member === s.options.id ? s.log.persisted', 'member === s.options.id ? s.log.lastIndex')] },
  { fault: 'forgets the term of the entry before', seed: 24, edits: [edit('follow.ts', 'log.term(m.prevIndex) !== m.prevTerm', 'log.term(m.prevIndex) === undefined')] },
  { fault: 'shortens its log for any old message', seed: 3, edits: [edit('follow.ts', 'if (entry.index <= log.base.index || log.term(entry.index) === entry.term) continue', 'if (entry.index <= Math.max(log.base.index, s.commit)) continue')] },
  { fault: 'keeps what differs from its leader', seed: 1, edits: [edit('follow.ts', '|| log.term(entry.index) === entry.term) continue', '|| log.term(entry.index) !== undefined) continue')] },
  { fault: 'commits what it did not compare', seed: 21, edits: [edit('follow.ts', 'Math.min(m.commit, lastMatch)', 'Math.min(m.commit, s.log.lastIndex)')] },
  { fault: 'acknowledges what is not on its disk', seed: 1, edits: [edit('follow.ts', 'Math.min(lastMatch, s.log.persisted)', 'lastMatch')] },
  { fault: 'takes a write for durable that was replaced meanwhile', seed: 124, edits: [edit('follow.ts', '      for (const write of s.writes.inFlight) write.lastIndex = Math.min(write.lastIndex, log.lastIndex)\n', '')] },
  { fault: 'applies what is not on its disk', seed: 52, edits: [edit('raft.ts', 'Math.min(s.commit, log.persisted)', 's.commit')] },
  { fault: 'decides without the voters before a change', seed: 14, edits: [
    edit('quorum.ts', ' && (configuration.outgoing.length === 0 || hasMajority(configuration.outgoing, says))', ''),
    edit('quorum.ts', 'configuration.outgoing.length === 0 ? value', 'configuration.outgoing.length >= 0 ? value'),
  ] },
  { fault: 'changes all voters at once', seed: 107, edits: [edit('configuration.ts', 'outgoing: same ? [] : current.voters', 'outgoing: []')] },
  { fault: 'lets a leader that is to leave wait for nobody', seed: 517, edits: [edit('state.ts', 's.log.configurationsFrom(s.commit).some((c) => isVoter(c, s.options.id))', 'isVoter(s.log.configuration, s.options.id)')] },
  { fault: 'answers reads without asking whether it still leads', seed: 132, edits: [edit('reads.ts', '|| hasLease(s, leading, quorumRound)', '|| s.term > 0')] },
  { fault: 'answers reads before it knows what is committed', seed: 5, edits: [edit('reads.ts', ' || s.log.term(s.commit) !== s.term) return', ') return')] },
  { fault: 'takes any answer for one to the newest round', seed: 395, edits: [edit('replication.ts', 'Math.max(follower.round, m.round)', 'leading.round')] },
  { fault: 'trusts the clock twice as long as it may', seed: 0, script: 'reads', edits: [edit('reads.ts', 's.nowMs - newest.sentMs < (', 's.nowMs - newest.sentMs < 2 * (')] },
  { fault: 'trusts the clock after handing over', seed: 0, script: 'reads', edits: [edit('transfer.ts', 'leading.leaseForfeited = true', 'leading.leaseForfeited = false')] },
  { fault: 'trusts the clock though it loses its vote', seed: 5521, edits: [
    edit('reads.ts', ' || !isVoter(s.log.configuration, s.options.id)', ''),
    edit('election.ts', ' && !s.wasLed', ''),
  ] },
  { fault: 'forgets at a restart what it promised its leader', seed: 0, script: 'reads', edits: [edit('raft.ts', 'heardMs: nowMs,', 'heardMs: -Infinity,')] },
  { fault: 'helps to replace a leader that it hears', seed: 0, script: 'election', edits: [edit('election.ts', 'const holdBack = !m.transfer && heardOfLeader(s)', 'const holdBack = false')] },
  { fault: 'goes to an election beside one that would win it', seed: 0, script: 'election', edits: [edit('election.ts', '    if (granted) giveWay(s, m)\n', '')] },
  { fault: 'does not ask again who can be reached again', seed: 0, script: 'election', edits: [edit('election.ts', 'if (asks && !s.votes.has(member)', 'if (asks && s.term < 0 && !s.votes.has(member)')] },
  { fault: 'installs snapshots over what it has committed', seed: 1926, edits: [
    edit('snapshots.ts', 'snapshot.index <= s.commit || s.log.term(snapshot.index) === snapshot.term) {', 's.log.term(snapshot.index) === snapshot.term) {'),
    edit('snapshots.ts', "if (snapshot.index <= s.commit || s.role === 'leader') return", "if (s.role === 'leader') return"),
  ] },
  { fault: 'goes on with another snapshot at the same place', seed: 27, edits: [edit('snapshots.ts', 'if (s.incoming?.snapshot.id !== snapshot.id) {\n    if (m.offsetBytes !== 0) {', 'if (s.incoming === undefined) {\n    if (m.offsetBytes !== 0) {')] },
  { fault: 'does not notice what got lost on the way', seed: 1, edits: [edit('replication.ts', 'index < follower.next\n', 'index < 0\n')] },
  { fault: 'leaves a server alone that lost what it had acknowledged', seed: 0, script: 'forgetful', edits: [edit('replication.ts', 'if (m.round <= follower.matchRound) return', 'return')] },
  { fault: 'takes an old refusal for a loss', seed: 1, edits: [edit('replication.ts', 'if (m.round <= follower.matchRound) return\n', '')] },
  { fault: 'asks beyond the place where logs part', seed: 1, edits: [edit('replication.ts', 'm.hintTerm) + 1)', 'm.hintTerm) + 2)')] },
  { fault: 'leads on without hearing of a majority', seed: 0, script: 'transfer', edits: [edit('raft.ts', 'if (!stillHasQuorum(s, leading)) return', 'if (!stillHasQuorum(s, leading) && s.term < 0) return')] },
  { fault: 'begins its term without an entry', seed: 0, script: 'election', edits: [edit('election.ts', "  appendOwn(s, leading, 'empty', [NOTHING])\n", "  if (s.term < 0) appendOwn(s, leading, 'empty', [NOTHING])\n")] },
  { fault: 'compacts under what is in flight and never sends it again', seed: 0, script: 'snapshot', edits: [edit('replication.ts', "if (follower.state !== 'snapshot' && follower.next - 1 < s.log.base.index) beginTransfer(s, follower)", '')] },
]

const folder = join(import.meta.dirname, '..')

/** A copy of the core with the mutant's edits; throws when the text to edit is not there exactly once. */
export async function makeMutant(mutant: Mutant): Promise<MakeCore> {
  const copy = mkdtempSync(join(tmpdir(), 'raft-mutant-'))
  try {
    for (const file of globSync('*.ts', { cwd: folder })) if (!file.endsWith('.test.ts')) cpSync(join(folder, file), join(copy, file))
    for (const { file, from, to } of mutant.edits) {
      const text = readFileSync(join(copy, file), 'utf8')
      if (text.split(from).length !== 2) throw new Error(`${mutant.fault}: ${file} has not exactly once: ${from}`)
      writeFileSync(join(copy, file), text.replace(from, () => to))
    }
    const base = pathToFileURL(join(folder, '..', '..', 'base')).href
    for (const file of globSync('*.ts', { cwd: copy })) {
      const text = readFileSync(join(copy, file), 'utf8')
      writeFileSync(join(copy, file), text.replaceAll("'#base/", `'${base}/`))
    }
    const { Raft: Broken } = (await import(pathToFileURL(join(copy, 'raft.ts')).href)) as { Raft: typeof Raft }
    return (options, recovered, reader, random, nowMs) => new Broken(options, recovered, reader, random, nowMs)
  } finally {
    rmSync(copy, { recursive: true })
  }
}
