/** A socket by which a plugin says what it is, and what it was told. Only tests import it. */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import type { Log } from '#base/log.ts'
import { REGISTRATION_GET_INFO, REGISTRATION_NOTIFY } from '../calls.ts'

export interface TestRegistration {
  /** What went wrong, each time that it was told how it went; '' where nothing did. */
  readonly told: string[]
  stop(): Promise<void>
}

export async function showPlugin(path: string, info: { type: string; name: string; endpoint: string; supportedVersions: readonly string[] }, { clock, log, onTold = () => {} }: { clock: Clock; log: Log; onTold?: () => void }): Promise<TestRegistration> {
  const told: string[] = []
  const server = new GrpcServer({ clock, log })
  server.unary(REGISTRATION_GET_INFO, async () => ({ ...info, supportedVersions: [...info.supportedVersions] }))
  server.unary(REGISTRATION_NOTIFY, async ({ pluginRegistered, error }) => {
    told.push(pluginRegistered === (error === '') ? error : `told both: ${String(pluginRegistered)} ${error}`)
    onTold()
    return {}
  })
  await mkdir(dirname(path), { recursive: true })
  await server.listen(path)
  return {
    told,
    async stop() {
      await server.close()
      await rm(path, { force: true })
    },
  }
}
