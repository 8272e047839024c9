/**
 * Forgets etcd's history beyond some minutes, as kube-apiserver does it: of several servers one does it, and only what
 * was the present at the last look, so that every reader has had that long.
 */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Revision } from '../store.ts'
import type { KeySpace } from './key-space.ts'
import type { Members } from './members.ts'
import { ETCD, TARGET_MOD } from './messages.ts'

export interface CompactorOptions { members: Members; keys: KeySpace; clock: Clock; log: Log; intervalMs: number; /** What is visible. */ revision: () => Revision }

/** Until the signal aborts. */
export async function keepCompacting({ members, keys, clock, log, intervalMs, revision }: CompactorOptions, signal: AbortSignal): Promise<void> {
  const key = keys.own('compact')
  /** Where the key was last changed, as far as is known, and what was the present then; 0: not looked yet. */
  let seen = { modRevision: 0, present: 0 }
  for (;;) {
    try {
      await clock.sleep(intervalMs, signal)
    } catch {
      return
    }
    try {
      // Nothing happened: nothing to forget, and nothing to write.
      if (seen.present !== 0 && revision() <= Math.max(seen.present, seen.modRevision)) continue
      const { header, succeeded, responses } = await members.ask(ETCD.txn, {
        compare: [{ target: TARGET_MOD, key, modRevision: seen.modRevision }],
        success: [{ put: { key, value: Buffer.from(String(seen.present)) } }],
        failure: [{ range: { key } }],
      }, { again: false })
      const present = header?.revision ?? 0
      if (succeeded && seen.present !== 0) await members.ask(ETCD.compact, { revision: seen.present }, { again: true })
      seen = { modRevision: succeeded ? present : (responses[0]?.range?.kvs[0]?.modRevision ?? 0), present }
    } catch (error) {
      if (signal.aborted) return
      // Somebody else may have compacted further: that is as good.
      log.debug('etcd was not compacted; tried again later', { error: asError(error) })
    }
  }
}
