/**
 * The lives of containers and sandboxes as events, each told once and in order, whoever noticed first: our own call, the
 * runtime's event, or a look at its lists. Nothing goes backwards: what was seen ended has ended.
 */
import type { ContainerState, RuntimeEvent, SandboxState } from '../runtime.ts'

interface Life { sandboxId: string; stage: number }
export interface Listing {
  sandboxes: readonly { id: string; state: SandboxState }[]
  containers: readonly { id: string; sandboxId: string; state: ContainerState }[]
}

const STAGES: Readonly<Record<ContainerState, number>> = { created: 1, running: 2, unknown: 2, exited: 3 }
const TOLD = [undefined, 'containerCreated', 'containerStarted', 'containerStopped', 'containerDeleted'] as const
const DELETED = 4

export class LifeEvents {
  readonly #containers = new Map<string, Life>()
  readonly #sandboxes = new Map<string, SandboxState>()
  readonly #emit: (event: RuntimeEvent) => void

  constructor(emit: (event: RuntimeEvent) => void) {
    this.#emit = emit
  }

  container(id: string, sandboxId: string, state: ContainerState): void {
    this.#advance(id, sandboxId, STAGES[state])
  }

  sandboxOf(containerId: string): string | undefined { return this.#containers.get(containerId)?.sandboxId }

  containerDeleted(id: string): void {
    const life = this.#containers.get(id)
    if (life) this.#advance(id, life.sandboxId, DELETED)
  }

  sandbox(id: string, state: SandboxState): void {
    const before = this.#sandboxes.get(id)
    if (before === 'notready' || before === state) return
    this.#sandboxes.set(id, state)
    if (state !== 'notready') return
    // What was in it has ended with it.
    for (const [containerId, life] of this.#containers) if (life.sandboxId === id && life.stage < STAGES.exited) this.#advance(containerId, id, STAGES.exited)
    this.#emit({ kind: 'sandboxStopped', sandboxId: id })
  }

  sandboxDeleted(id: string): void {
    if (!this.#sandboxes.has(id)) return
    this.sandbox(id, 'notready')
    for (const [containerId, life] of this.#containers) if (life.sandboxId === id) this.#advance(containerId, id, DELETED)
    this.#sandboxes.delete(id)
    this.#emit({ kind: 'sandboxDeleted', sandboxId: id })
  }

  /** All there is. What was not yet known when the lists were asked for (`known`) is not taken for gone. */
  see(listing: Listing, knownBefore: ReadonlySet<string>): void {
    for (const s of listing.sandboxes) this.sandbox(s.id, s.state)
    for (const c of listing.containers) this.container(c.id, c.sandboxId, c.state)
    const containers = new Set(listing.containers.map((c) => c.id))
    const sandboxes = new Set(listing.sandboxes.map((s) => s.id))
    for (const id of this.#containers.keys()) if (!containers.has(id) && knownBefore.has(id)) this.containerDeleted(id)
    for (const id of this.#sandboxes.keys()) if (!sandboxes.has(id) && knownBefore.has(id)) this.sandboxDeleted(id)
  }

  /** To be taken before the lists are asked for. */
  known(): Set<string> { return new Set([...this.#containers.keys(), ...this.#sandboxes.keys()]) }

  #advance(id: string, sandboxId: string, stage: number): void {
    const before = this.#containers.get(id)?.stage ?? 0
    if (stage <= before) return
    if (stage === DELETED) this.#containers.delete(id)
    else this.#containers.set(id, { sandboxId, stage })
    // Stages that passed between two looks are told too; an end nobody saw is still told before the removal.
    for (let each = before + 1; each <= stage; each++) {
      const kind = TOLD[each]
      if (kind === undefined || (each === 2 && stage > 2 && before < 2)) continue
      this.#emit({ kind, containerId: id, sandboxId })
    }
  }
}
