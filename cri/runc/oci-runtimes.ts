/** The OCI runtimes that sandboxes may name: the default one, and those that are set up as handlers (RuntimeClass). */
import { basename } from 'node:path'
import { CodedError } from '#base/errors.ts'
import { OciRuntime } from './oci-runtime.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'
import type { RuntimePaths } from './runtime-paths.ts'

export class OciRuntimes {
  readonly default: OciRuntime
  readonly #byHandler: ReadonlyMap<string, OciRuntime>

  constructor({ ociRuntime = 'runc', ociRuntimePath, conmonPath = 'conmon', handlers = new Map(), clock }: EmbeddedRuntimeOptions, paths: RuntimePaths) {
    const open = (kind: 'runc' | 'crun', program: string): OciRuntime => new OciRuntime({ kind, program, conmon: conmonPath, paths, clock })
    this.default = open(ociRuntime, ociRuntimePath ?? ociRuntime)
    // The default's own name is a handler, too, as containerd's runc is; what is set up by that name counts.
    this.#byHandler = new Map([['', this.default], [ociRuntime, this.default], ...[...handlers].map(([name, program]): [string, OciRuntime] => [name, open(kindOf(program), program)])])
  }

  /** '' is the default. */
  names(): string[] { return [...this.#byHandler.keys()] }

  /** For a new sandbox. Throws CRI_FAILED where nothing is set up by that name. */
  assertKnown(handler: string): void {
    if (!this.#byHandler.has(handler)) throw new CodedError('CRI_FAILED', `failed to get sandbox runtime: no runtime for ${JSON.stringify(handler)} is configured`)
  }

  /** For a container that is there. A handler that is no longer set up leaves the default, which knows by what the container was made. */
  of(handler: string): OciRuntime { return this.#byHandler.get(handler) ?? this.default }
}

/** Their command lines are alike, what they keep of a container is not. */
const kindOf = (program: string): 'runc' | 'crun' => (basename(program).includes('crun') ? 'crun' : 'runc')
