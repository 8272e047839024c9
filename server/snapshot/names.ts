/** What snapshots are called, as k3s does it: `<name>-<node>-<unix seconds>`. Which of them go when there are too many. Pure. */

export interface StoredSnapshot {
  name: string
  /** `file:///...` or `s3://bucket/...`. */
  location: string
  sizeBytes: number
  createdMs: number
}

export function snapshotName(prefix: string, node: string, nowMs: number): string {
  return `${prefix}-${node}-${Math.floor(nowMs / 1000)}`
}

/** When it was taken, by its name; undefined: not the name of a snapshot. */
export function createdMsOf(name: string): number | undefined {
  const seconds = /^[a-z0-9][a-z0-9.-]*-(\d{9,11})$/.exec(name)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

/** Those of one series beyond the newest `retention`, oldest last. The series is all before the seconds. */
export function excess(all: readonly StoredSnapshot[], series: string, retention: number): StoredSnapshot[] {
  return all.filter(({ name }) => name.startsWith(`${series}-`) && /^\d+$/.test(name.slice(series.length + 1))).sort((a, b) => b.createdMs - a.createdMs || (a.name < b.name ? 1 : -1)).slice(retention)
}

/** As k3s prints them; times in whole seconds of UTC. */
export function snapshotTable(all: readonly StoredSnapshot[]): string {
  const rows = [['Name', 'Location', 'Size', 'Created'], ...all.map((s) => [s.name, s.location, String(s.sizeBytes), isoSeconds(s.createdMs)])]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)) + 1)
  return `${rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('')).join('\n')}\n`
}

export const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
