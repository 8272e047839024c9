/** A tunnel to each server that is known, as the list of them changes; to one server never two, whatever it is called. */
import type { ServerList } from '../join/server-list.ts'
import { keepTunnel, type TunnelOptions } from './tunnel.ts'

export async function keepTunnels(list: Pick<ServerList, 'current' | 'onChange'>, options: Omit<TunnelOptions, 'server' | 'claim'>, signal: AbortSignal): Promise<void> {
  const running = new Map<string, { stop: AbortController; done: Promise<void> }>()
  /** By the certificate that a server shows: who waits for the tunnel to it to end. */
  const taken = new Map<string, Set<() => void>>()
  const claim: TunnelOptions['claim'] = (fingerprint) => {
    const others = taken.get(fingerprint)
    if (others) return { ok: false, ended: new Promise((resolve) => others.add(resolve)) }
    const waiting = new Set<() => void>()
    taken.set(fingerprint, waiting)
    return {
      ok: true,
      release() {
        taken.delete(fingerprint)
        for (const go of waiting) go()
      },
    }
  }
  const look = () => {
    const wanted = new Set(list.current())
    for (const [server, { stop }] of running) {
      if (wanted.has(server)) continue
      stop.abort()
      running.delete(server)
    }
    for (const server of wanted) {
      if (running.has(server) || signal.aborted) continue
      const stop = new AbortController()
      running.set(server, { stop, done: keepTunnel({ ...options, server, claim }, AbortSignal.any([signal, stop.signal])) })
    }
  }
  const unsubscribe = list.onChange(look)
  look()
  await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
  unsubscribe()
  await Promise.all([...running.values()].map(({ done }) => done))
}
