/** The binary: as it lies on disk and as it is shipped. */
import { readFileSync, statSync } from 'node:fs'
import { constants, zstdCompressSync } from 'node:zlib'
import type { Figure, Measurement } from './figure.ts'

const BUDGET_MB = 45

export const size: Measurement = {
  name: 'size',
  about: 'the binary, raw and compressed with zstd -19',
  run({ binary, quick }) {
    const raw: Figure = { name: 'binary', value: statSync(binary).size / 1e6, unit: 'MB', better: 'lower' }
    // Half a minute of work.
    if (quick) return Promise.resolve([raw])
    const packed = zstdCompressSync(readFileSync(binary), { params: { [constants.ZSTD_c_compressionLevel]: 19 } })
    return Promise.resolve([raw, { name: 'binary, zstd -19', value: packed.length / 1e6, unit: 'MB', better: 'lower', budget: BUDGET_MB }])
  },
}
