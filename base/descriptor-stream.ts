/** Descriptors that Node opens no stream on itself: sockets of odd types, character devices that can be waited for. */
import { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { CodedError, assert } from './errors.ts'

interface PipeHandle { open(fd: number): number }

/** Each 'data' chunk is what one read gave, as long as the stream flows. The descriptor is the stream's from now on. Throws where the kernel cannot wait for it. */
export function streamOverDescriptor(fd: number, { writable = true }: { writable?: boolean } = {}): Socket {
  // A socket made for a path creates its handle when connecting: that handle's class is the one way to reach it.
  const probe = new Socket()
  probe.on('error', () => probe.destroy())
  probe.connect({ path: '/proc/self/nonexistent' })
  const handle: unknown = Reflect.get(probe, '_handle')
  assert(typeof handle === 'object' && handle !== null, 'net.Socket has no _handle')
  const Pipe = handle.constructor as new (type: number) => PipeHandle
  const pipe = new Pipe(0)
  const failed = pipe.open(fd)
  if (failed) throw new CodedError(getSystemErrorName(failed), `cannot watch descriptor ${fd}: ${getSystemErrorName(failed)}`)
  const options: object = { handle: pipe, readable: true, writable }
  return new Socket(options)
}
