/** The images that whole-system tests pull, in a registry's directory that is made once and kept in the build cache. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildImage, busyboxLayer } from './build-image.ts'
import { pushImage, startRegistry } from './registry.ts'

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/skiff-test-images')

/**
 * `library/busybox` with the tags 1, 2 (another image with the same content) and latest; `library/pause`, whose first process only waits,
 * for runtimes whose sandboxes need one. Returns the directory for a
 * registry's `filesystem.rootdirectory`.
 */
export async function registryWithTestImages(): Promise<string> {
  const data = join(CACHE, 'data')
  if (existsSync(data)) return data
  const fresh = `${CACHE}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  const registry = await startRegistry({ dir: fresh })
  try {
    for (const tag of ['1', '2', 'latest']) {
      const image = await buildImage(join(fresh, `image-${tag}`), { layers: [busyboxLayer()], config: { Cmd: ['sh'], Labels: { version: tag === 'latest' ? '1' : tag } } })
      await pushImage(image, { host: registry.host, repository: 'library/busybox', tag })
    }
    const pause = await buildImage(join(fresh, 'image-pause'), { layers: [busyboxLayer()], config: { Entrypoint: ['sleep', '2147483647'] } })
    await pushImage(pause, { host: registry.host, repository: 'library/pause', tag: '1' })
  } finally {
    await registry.stop()
  }
  rmSync(CACHE, { recursive: true, force: true })
  renameSync(fresh, CACHE)
  return data
}
