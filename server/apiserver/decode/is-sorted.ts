/** Whether texts are in order already, by code unit as `<` has it: what was stored once is, and a look is cheaper than a sort. Pure. */
export function isSorted(texts: readonly string[]): boolean {
  for (let i = 1; i < texts.length; i++) if ((texts[i - 1] as string) > (texts[i] as string)) return false
  return true
}
