/**
 * What V8's profilers saw, in the format of pprof (github.com/google/pprof, proto/profile.proto): `go tool pprof` and
 * everything else that reads kube-apiserver's profiles reads these. Pure.
 */
import { WireWriter } from '#base/protobuf/wire.ts'

/** Where code was: V8's call frame, its line counted from 0. */
export interface Frame { functionName: string; url: string; lineNumber: number; columnNumber: number }

/** One call stack, innermost frame first, with a value for each type. */
export interface Sample { stack: readonly Frame[]; values: readonly number[] }

export interface ValueType { type: string; unit: string }

export interface Profile {
  types: readonly ValueType[]
  /** The type that is shown first. */
  defaultType: string
  samples: readonly Sample[]
  timeMs: number
  durationMs: number
  /** Between samples. */
  period: number
  periodType: ValueType
}

/** Not gzipped yet. */
export function encodeProfile(profile: Profile): Buffer {
  const texts = new Table<string>((text) => text)
  texts.number('')
  const functions = new Table<Frame>((f) => `${f.functionName}\0${f.url}`)
  // A function is told from another of its name by its file; a location also by its line.
  const locations = new Table<Frame>((f) => `${f.functionName}\0${f.url}\0${f.lineNumber}\0${f.columnNumber}`)
  const samples = profile.samples.map(({ stack, values }) => ({ locations: stack.map((frame) => locations.number(frame) + 1), values }))
  const lines = locations.all.map((frame) => ({ frame, functionId: functions.number(frame) + 1 }))
  const named = functions.all.map((f) => ({ name: texts.number(f.functionName || '(anonymous)'), file: texts.number(f.url), line: f.lineNumber + 1 }))
  const typeOf = ({ type, unit }: ValueType) => ({ type: texts.number(type), unit: texts.number(unit) })
  const types = profile.types.map(typeOf)
  const periodType = typeOf(profile.periodType)
  const defaultType = texts.number(profile.defaultType)

  // The writer goes backwards: fields, and what is repeated, from the last to the first.
  const w = new WireWriter()
  int(w, 14, defaultType)
  int(w, 12, profile.period)
  message(w, 11, () => valueType(w, periodType))
  int(w, 10, Math.round(profile.durationMs * 1e6))
  int(w, 9, Math.round(profile.timeMs * 1e6))
  for (const text of texts.all.toReversed()) {
    w.string(text)
    w.tag(6, 2)
  }
  backwards(named, (f, i) => message(w, 5, () => {
    int(w, 5, Math.max(0, f.line))
    int(w, 4, f.file)
    int(w, 3, f.name)
    int(w, 2, f.name)
    int(w, 1, i + 1)
  }))
  backwards(lines, ({ frame, functionId }, i) => message(w, 4, () => {
    message(w, 4, () => {
      int(w, 3, Math.max(0, frame.columnNumber + 1))
      int(w, 2, Math.max(0, frame.lineNumber + 1))
      int(w, 1, functionId)
    })
    int(w, 1, i + 1)
  }))
  backwards(samples, (sample) => message(w, 2, () => {
    packed(w, 2, sample.values)
    packed(w, 1, sample.locations)
  }))
  backwards(types, (type) => message(w, 1, () => valueType(w, type)))
  return w.finish()
}

/** Things by their number, in the order in which they were first asked for. */
class Table<T> {
  readonly all: T[] = []
  readonly #numbers = new Map<string, number>()
  readonly #keyOf: (thing: T) => string
  constructor(keyOf: (thing: T) => string) {
    this.#keyOf = keyOf
  }

  number(thing: T): number {
    const key = this.#keyOf(thing)
    let number = this.#numbers.get(key)
    if (number === undefined) {
      this.#numbers.set(key, (number = this.all.length))
      this.all.push(thing)
    }
    return number
  }
}

function backwards<T>(list: readonly T[], write: (item: T, i: number) => void): void {
  for (let i = list.length - 1; i >= 0; i--) write(list[i] as T, i)
}

function int(w: WireWriter, number: number, value: number): void {
  if (value === 0) return
  w.int(value)
  w.tag(number, 0)
}

function message(w: WireWriter, number: number, write: () => void): void {
  const before = w.size
  write()
  w.length(before)
  w.tag(number, 2)
}

function packed(w: WireWriter, number: number, values: readonly number[]): void {
  message(w, number, () => { for (const value of values.toReversed()) w.int(value) })
}

function valueType(w: WireWriter, { type, unit }: { type: number; unit: number }): void {
  int(w, 2, unit)
  int(w, 1, type)
}
