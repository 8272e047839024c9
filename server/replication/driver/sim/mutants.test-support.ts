/** Drivers that were broken on purpose, to see that the simulation finds it: text of the driver's files is changed in a copy. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { OpenReplica } from './surroundings.ts'

export interface Mutant {
  /** What it does wrong. */
  readonly fault: string
  /** A seed that finds it, or near to one that does: after a change to the driver it may be another. */
  readonly seed: number
  readonly file: string
  readonly from: string
  readonly to: string
}

const mutant = (fault: string, seed: number, file: string, from: string, to: string): Mutant => ({ fault, seed, file, from, to })

export const mutants: readonly Mutant[] = [
  mutant('says what is not on its disk yet', 1, 'replica.ts', 'if (ready.persist) this.#writer.add(ready.persist)', 'if (ready.persist) { for (const message of ready.persist.messages) this.#parts.transport.send(message); this.#writer.add(ready.persist) }'),
  mutant('reports as written what is being written', 1, 'log-writer.ts', '        await this.#storage.write(batch)', '        void this.#storage.write(batch)'),
  mutant('writes in another order after a full disk', 113, 'log-writer.ts', 'this.#queue.unshift(...batch)', 'this.#queue.push(...batch)'),
  mutant('forgets what waits to be written when the disk was full', 4, 'log-writer.ts', 'this.#queue.unshift(...batch)', ''),
  mutant('acknowledges what is in the log and not applied', 1, 'waiting-proposals.ts', 'const { term, index } = outcome\n', 'const { term, index } = outcome\n    asked.resolve({ term, index })\n'),
  mutant('takes any entry at the place for the one proposed', 6, 'waiting-proposals.ts', 'if (placed.term === entry.term) placed.resolve', 'if (placed.term > 0) placed.resolve'),
  mutant('calls lost what a part of may be there', 201, 'waiting-proposals.ts', 'placed.reject(partly ? unknownError() : lostError())', 'placed.reject(lostError())'),
  mutant('calls lost what nobody knows of', 1, 'waiting-proposals.ts', '(p) => p.reject(unknownError()))\n  }\n\n  /** The end', '(p) => p.reject(lostError()))\n  }\n\n  /** The end'),
  mutant('waits for ever for what a leader lost', 1, 'replica.ts', 'if (!this.#proposals.isEmpty) this.#proposals.tick(term, isLed, ticksMax)', ''),
  mutant('lets reads wait for ever', 1, 'replica.ts', "this.#barriers.rejectDue(refusalError('noLeader'))", ''),
  mutant('answers a read with the answer to an earlier one', 1, 'read-barriers.ts', '  stepping(): void {\n    this.#open = undefined', '  stepping(): void {\n    if (this.#asked.size === 0) this.#open = undefined'),
  mutant('answers a read before it has applied what it must show', 1, 'read-barriers.ts', '} else if (outcome.index <= applied) for', '} else if (outcome.index <= applied + 3) for'),
  mutant('reads alone what others were already shown more of', 9270, 'replica.ts', ' && this.#core.status().commit === this.#applied) return', ') return'),
  mutant('reads alone without its own term begun', 36, 'replica.ts', "this.#appliedTerm === this.#status.term && this.#core", "this.#core"),
  mutant('reads by itself though there are others', 42, 'replica.ts', "if (this.#alone && this.#status.role === 'leader' && this", "if (this.#status.role === 'leader' && this"),
  mutant('applies while a snapshot is installed', 331, 'replica.ts', '      await this.#applying\n      await this.#compacting\n', '      await this.#compacting\n'),
  mutant('drops log that its state does not have on disk', 1, 'replica.ts', 'Math.min(this.#core.compactIndexMax(), this.#appliedDurable)', 'this.#core.compactIndexMax()'),
  mutant('drops log that the core may still ask for', 1, 'replica.ts', "    this.#execute(this.#core.step([{ kind: 'compacted', index: base.index }], this.#parts.clock.monotonicMs()))\n", ''),
  mutant('stops its clock when it is left alone and does not lead', 2677, 'replica.ts', "!(this.#alone && status.role === 'leader')", '!this.#alone'),
  mutant('never closes snapshots', 1, 'replica.ts', 'this.#unlessFailed(this.#snapshots.done(to, snapshotId))', 'void [to, snapshotId]'),
  mutant('leaves a snapshot open that could not be read', 9605, 'outgoing-snapshots.ts', 'if (id !== undefined) await this.done(to, id)', ''),
  mutant('opens the same snapshot twice', 2, 'outgoing-snapshots.ts', 'const same = this.#held.get(source.snapshot.id)', 'const same = undefined as Held | undefined'),
  mutant('does not say that a snapshot could not be read', 9, 'outgoing-snapshots.ts', "this.#parts.give({ kind: 'snapshotReadFailed', to })", ''),
  mutant('does not say that a snapshot could not be received', 22, 'replica.ts', "if (this.#newestWrite === write) this.#give({ kind: 'snapshotWriteFailed', snapshotId: snapshot.id })", ''),
  mutant('does not tell who waited that a snapshot took the place', 1, 'replica.ts', 'this.#proposals.jumped(index, term)', ''),
  mutant('says that members are changed while they are being changed', 87, 'waiting-changes.ts', 'if (isJoint(configuration) || configurationIndex > applied) return', 'if (configurationIndex > applied + 1000) return'),
  mutant('never looks again whether a disk is full', 4, 'room-watch.ts', 'this.note({ ahead: true }, asError(error))\n      this.#lookLater()', 'this.note({ ahead: true }, asError(error))'),
  mutant('knows no new members', 1, 'replica.ts', 'if (!isEqual(peers, this.#peers)) {', 'if (this.#peers.size === 0) {'),
  mutant('goes on after its disk failed', 74, 'replica.ts', '{ writer: isFull }, error),\n      failed: (error) => this.#fail(error),', '{ writer: isFull }, error),\n      failed: () => undefined,'),
  mutant('leaves snapshots open when it stops', 89, 'replica.ts', '    await this.#snapshots.close()\n', ''),
]

const driver = join(import.meta.dirname, '..')
const server = join(driver, '..', '..')

/** A copy of the driver with the mutant's edit; throws when the text to edit is not there exactly once. */
export async function makeMutant({ fault, file, from, to }: Mutant): Promise<OpenReplica> {
  const copy = mkdtempSync(join(tmpdir(), 'driver-mutant-'))
  try {
    for (const name of globSync('*.ts', { cwd: driver }).filter((f) => !f.endsWith('.test.ts'))) {
      let text = readFileSync(join(driver, name), 'utf8')
      if (name === file) {
        if (text.split(from).length !== 2) throw new Error(`${fault}: ${file} has not exactly once: ${from}`)
        text = text.replace(from, () => to)
      }
      const linkTo = (folder: string) => `'${pathToFileURL(folder).href}/`
      writeFileSync(join(copy, name), text.replaceAll("'#base/", linkTo(join(server, '..', 'base'))).replaceAll("'../../raft/", linkTo(join(server, 'raft'))))
    }
    const broken = (await import(pathToFileURL(join(copy, 'replica.ts')).href)) as { openReplica: OpenReplica }
    return broken.openReplica
  } finally {
    rmSync(copy, { recursive: true })
  }
}
