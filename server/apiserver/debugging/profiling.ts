/** `/debug/pprof`: profiles of this process, as net/http/pprof serves them, as far as V8 has them. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import type { PathHandler, PathRequest } from '../discovery/paths.ts'
import type { Query } from '../http/query.ts'
import { textResponse } from '../http/response.ts'
import type { Profile } from './pprof.ts'

const ROOT = '/debug/pprof'
/** Go's for `profile`; of memory, Go knows all since the start, V8 only what it was told to watch. */
const DEFAULT_SECONDS = 30
/** Nobody waits longer, and samples are in memory until then. */
const SECONDS_MAX = 600

const PROFILES: Readonly<Record<string, string>> = {
  allocs: 'A sampling of all memory allocations while it is taken (seconds)',
  heap: 'A sampling of memory that is allocated while it is taken and still in use at its end (seconds)',
  profile: 'CPU profile. Its duration is the GET parameter seconds',
}

export function profilingHandlers(clock: Clock): Record<string, { handle: PathHandler }> {
  const state = { isBusy: false }
  const serve = async (request: PathRequest): Promise<ApiResponse> => {
    const name = request.info.path.slice(ROOT.length + 1)
    if (name === '') return index()
    if (!Object.hasOwn(PROFILES, name) || request.query.integer('debug')) return problem(404, 'Unknown profile')
    const seconds = secondsOf(request.query)
    if (seconds === undefined) return problem(400, 'invalid value for "seconds" - must be a positive integer')
    if (state.isBusy) return problem(500, 'Could not enable CPU profiling: cpu profiling already in use')
    state.isBusy = true
    try {
      return await packed(name, await take(name, clock, seconds * 1000, request.signal))
    } finally {
      state.isBusy = false
    }
  }
  return {
    [ROOT]: { handle: () => ({ status: 302, headers: { location: `${ROOT}/` }, body: Buffer.alloc(0) }) },
    [`${ROOT}/`]: { handle: serve },
  }
}

async function take(name: string, clock: Clock, ms: number, signal: AbortSignal): Promise<Profile> {
  const { profileCpu, profileMemory } = await import('./v8-profiler.ts')
  if (name === 'profile') return profileCpu(clock, ms, signal)
  return profileMemory(name === 'heap' ? 'inuse' : 'alloc', clock, ms, signal)
}

function secondsOf(query: Query): number | undefined {
  const text = query.text('seconds')
  if (text === '') return DEFAULT_SECONDS
  return /^\d{1,6}$/.test(text) && Number(text) > 0 ? Math.min(Number(text), SECONDS_MAX) : undefined
}

async function packed(name: string, profile: Profile): Promise<ApiResponse> {
  const [{ encodeProfile }, { gzip }, { promisify }] = await Promise.all([import('./pprof.ts'), import('node:zlib'), import('node:util')])
  return {
    status: 200, headers: { 'content-type': 'application/octet-stream', 'content-disposition': `attachment; filename="${name}"`, 'x-content-type-options': 'nosniff' },
    body: await promisify(gzip)(encodeProfile(profile)),
  }
}

function problem(status: number, text: string): ApiResponse {
  const response = textResponse(`${text}\n`, status)
  response.headers['x-go-pprof'] = '1'
  return response
}

function index(): ApiResponse {
  const rows = Object.entries(PROFILES).map(([name, what]) => `<li><a href='${name}'>${name}</a>: ${what}</li>`)
  const page = `<html>\n<head>\n<title>${ROOT}/</title>\n</head>\n<body>\n${ROOT}/\n<p>Types of profiles available:</p>\n<ul>\n${rows.join('\n')}\n</ul>\n</body>\n</html>\n`
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'x-content-type-options': 'nosniff' }, body: Buffer.from(page) }
}
