/** What to do about the files in `<data-dir>/agent/images/`. Pure: archives are imported when new, changed or lost, lists are pulled. */
import type { Decision } from '#base/reconcile/action.ts'

/** Of one file as it was: another size or time of change is another file. */
export interface FileMark { sizeBytes: number; modifiedMs: number }
export interface ArchiveFile extends FileMark { name: string }
/** What was done about a file, kept on disk between starts. */
export interface ImportStamp extends FileMark { imageIds: readonly string[] }

export interface AirgapView {
  files: readonly ArchiveFile[]
  stamps: Readonly<Record<string, ImportStamp>>
  /** Files that could not be imported since the agent started, as they were then. */
  failed: Readonly<Record<string, FileMark>>
  /** Ids of the images the runtime has. */
  present: ReadonlySet<string>
}

export type AirgapAction =
  | { kind: 'importArchive'; file: ArchiveFile; because: 'new' | 'changed' | 'imageLost' }
  | { kind: 'pullList'; file: ArchiveFile }
  | { kind: 'forget'; name: string }

/** As k3s takes them, and as tools name them. */
const ARCHIVE = /\.(tar|tar\.gz|tgz|tar\.zst|tzst)$/
const LIST = /\.txt$/

export function decideAirgap(view: AirgapView): Decision<AirgapAction> {
  const actions: AirgapAction[] = []
  for (const name of Object.keys(view.stamps)) if (!view.files.some((f) => f.name === name)) actions.push({ kind: 'forget', name })
  for (const file of view.files) {
    // Hidden files are how tools name what they have not finished copying.
    if (file.name.startsWith('.') || isSame(view.failed[file.name], file)) continue
    const stamp = view.stamps[file.name]
    const because = stamp === undefined ? 'new' : !isSame(stamp, file) ? 'changed' : stamp.imageIds.some((id) => !view.present.has(id)) ? 'imageLost' : undefined
    if (because === undefined) continue
    if (ARCHIVE.test(file.name)) actions.push({ kind: 'importArchive', file, because })
    else if (LIST.test(file.name)) actions.push({ kind: 'pullList', file })
  }
  return { actions, because: actions.length === 0 ? 'all images are here' : 'there are files to import' }
}

function isSame(a: FileMark | undefined, b: FileMark): boolean {
  return a !== undefined && a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs
}
