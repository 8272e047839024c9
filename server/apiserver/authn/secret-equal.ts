/** Comparison of secrets that takes the same time wherever they differ, and whatever their lengths. */
import { createHash, timingSafeEqual } from 'node:crypto'

export function isSecretEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
