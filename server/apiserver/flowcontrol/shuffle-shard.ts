/**
 * Shuffle sharding: each flow is dealt its own small hand of queues, so that two flows seldom share all of them and one
 * heavy flow cannot fill every queue of another. Pure: equal flows get equal hands.
 */

/** A hand of `handSize` different numbers below `deckSize`. */
export function dealHand(flow: string, deckSize: number, handSize: number): number[] {
  const next = hashStream(flow)
  const hand: number[] = []
  for (let dealt = 0; dealt < handSize; dealt++) {
    // One of the cards that are left; those already dealt, in order, are skipped.
    let card = next() % (deckSize - dealt)
    for (const taken of hand.toSorted((a, b) => a - b)) if (card >= taken) card++
    hand.push(card)
  }
  return hand
}

/** 32-bit numbers that depend on nothing but the text: FNV-1a, then mulberry32. */
function hashStream(text: string): () => number {
  let state = 0x811c9dc5
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}
