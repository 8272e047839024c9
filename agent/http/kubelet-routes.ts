/** Which requests of the kubelet API there are, and how the others are refused: pkg/kubelet/server's routes in go-restful's words. Pure. */

export interface NoRoute { status: 404 | 405; text: string; /** For the header of that name. */ allow?: string }

interface Routes { methods: readonly string[]; /** How many segments may follow the first. */ segments: readonly number[] }

const READ = ['GET']
const STREAM = ['GET', 'POST']
const ROUTES: Readonly<Record<string, Routes>> = {
  pods: { methods: READ, segments: [0] }, runningpods: { methods: READ, segments: [0] }, stats: { methods: STREAM, segments: [1] }, containerLogs: { methods: READ, segments: [3] },
  run: { methods: ['POST'], segments: [3, 4] }, exec: { methods: STREAM, segments: [3, 4] }, attach: { methods: STREAM, segments: [3, 4] }, portForward: { methods: STREAM, segments: [2, 3] },
}
/** Served whatever the method is, and nothing below them. */
export const PLAIN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/configz', '/statusz', '/flagz', '/metrics', '/metrics/cadvisor', '/metrics/probes', '/metrics/resource', '/metrics/slis'])

/** `segments`: of the path, decoded. Undefined: it is served. */
export function refusedRoute(method: string, segments: readonly string[]): NoRoute | undefined {
  const [first = '', ...rest] = segments
  if (PLAIN_PATHS.has(`/${segments.join('/')}`) || (first === 'healthz' && rest.length === 1)) return undefined
  // Of any depth: they are files.
  if (first === 'logs') return method === 'GET' ? undefined : notAllowed(READ)
  const routes = Object.hasOwn(ROUTES, first) ? ROUTES[first] : undefined
  if (!routes) return { status: 404, text: '404 page not found\n' }
  if (!routes.segments.includes(rest.length) || (first === 'stats' && rest[0] !== 'summary')) return { status: 404, text: '404: Page Not Found' }
  return routes.methods.includes(method) ? undefined : notAllowed(routes.methods)
}

const notAllowed = (methods: readonly string[]): NoRoute => ({ status: 405, text: '405: Method Not Allowed', allow: methods.join(', ') })

/** Without the empty ends that slashes make. */
export function segmentsOf(path: string): string[] {
  return path.replace(/^\/+|\/+$/g, '').split('/').map(decodeURIComponent)
}
