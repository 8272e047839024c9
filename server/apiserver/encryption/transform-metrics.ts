/** Sealing and opening, counted under upstream's names. */
import type { Clock } from '#base/clock.ts'
import { Metric } from '#base/metrics.ts'
import { ENCRYPTED_PREFIX, isEncrypted } from './transformer.ts'

type Direction = 'from_storage' | 'to_storage'

const SECONDS = Array.from({ length: 25 }, (_, i) => 5e-6 * 2 ** i)

export class TransformMetrics {
  readonly #clock: Clock
  readonly #operations = new Metric('apiserver_storage_transformation_operations_total', 'counter', 'Total number of transformations. Successful transformation will have a status \'OK\' and a varied status string when the transformation fails. The status, resource, and transformation_type fields can be used for alerting purposes. For example, you can monitor for encryption/decryption failures using the transformation_type (e.g., from_storage for decryption and to_storage for encryption). Additionally, these fields can be used to ensure that the correct transformers are applied to each resource.')
  readonly #durations = new Metric('apiserver_storage_transformation_duration_seconds', 'histogram', 'Latencies in seconds of value transformation operations.', SECONDS)

  constructor(clock: Clock) { this.#clock = clock }

  /** `sealed`: the value as it is kept, known before or after. */
  measure<T>(direction: Direction, key: string, sealed: (result: T | undefined) => Buffer | undefined, run: () => T | Promise<T>): T | Promise<T> {
    const begunMs = this.#clock.monotonicMs()
    const done = (result: T | undefined): void => {
      const prefix = prefixOf(sealed(result))
      this.#operations.add(`resource="${resourceOf(key)}",status="${result === undefined ? 'Unknown' : 'OK'}",transformation_type="${direction}",transformer_prefix="${prefix}"`)
      this.#durations.observe(`transformation_type="${direction}",transformer_prefix="${prefix}"`, (this.#clock.monotonicMs() - begunMs) / 1000)
    }
    const fail = (error: unknown): never => {
      done(undefined)
      throw error
    }
    try {
      const result = run()
      if (result instanceof Promise) return result.then((r) => { done(r); return r }, fail)
      done(result)
      return result
    } catch (error) {
      return fail(error)
    }
  }

  all(): Metric[] { return [this.#operations, this.#durations] }
}

/** `k8s:enc:aesgcm:v1:`: provider and version, without the key's name. */
function prefixOf(sealed: Buffer | undefined): string {
  if (!sealed || !isEncrypted(sealed)) return sealed ? 'identity' : 'unknown'
  const [provider = '', version = ''] = sealed.subarray(ENCRYPTED_PREFIX.length, ENCRYPTED_PREFIX.length + 64).toString('latin1').split(':')
  return `${ENCRYPTED_PREFIX}${provider.replaceAll(/[^a-z0-9]/g, '')}:${version.replaceAll(/[^a-z0-9]/g, '')}:`
}

/** `secrets` of `/registry/core/secrets/default/a`, `widgets.example.com` of other groups. */
function resourceOf(key: string): string {
  const [, , group = '', resource = ''] = key.split('/')
  return group === 'core' ? resource : `${resource}.${group}`
}
