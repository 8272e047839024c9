/** Prefers nodes that already have the images, more so for large ones, less so for images that few nodes have. */
import { SCORE_MAX, type ScoreRule } from '../rule.ts'

const MB = 1024 * 1024
const MIN_BYTES = 23 * MB
const MAX_BYTES_PER_CONTAINER = 1000 * MB

/** `busybox` is kept on nodes as `docker.io/library/busybox:latest`: compared by what follows the last defaults. */
const withTag = (image: string): string => (image.lastIndexOf(':') <= image.lastIndexOf('/') && !image.includes('@') ? `${image}:latest` : image)

export const imageLocality: ScoreRule = {
  name: 'ImageLocality',
  weight: 1,
  prepare: ({ pod }, snapshot) => {
    const wanted = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map((c) => withTag(c.image ?? ''))
    const has = (names: readonly string[] | undefined, image: string) => names?.some((n) => n === image || n.endsWith(`/${image}`)) ?? false
    const spread = wanted.map((image) => snapshot.nodes.filter((n) => n.node.status?.images?.some((i) => has(i.names, image))).length / Math.max(1, snapshot.nodes.length))
    if (spread.every((s) => s === 0)) return undefined
    return ({ node }) => {
      const sum = wanted.reduce((total, image, i) => total + Math.floor((node.status?.images?.find((entry) => has(entry.names, image))?.sizeBytes ?? 0) * (spread[i] ?? 0)), 0)
      const max = MAX_BYTES_PER_CONTAINER * wanted.length
      return Math.floor((SCORE_MAX * (Math.min(Math.max(sum, MIN_BYTES), max) - MIN_BYTES)) / (max - MIN_BYTES))
    }
  },
}
