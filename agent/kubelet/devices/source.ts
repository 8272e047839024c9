/** Where devices come from: a plugin over its socket, or this agent's own rules. */

/** `healthy`: it may be given to a container. `numaNodes`: where it is, if its plugin says. */
export interface Device { id: string; healthy: boolean; numaNodes?: readonly number[] }

/** What a container gets with its devices. */
export interface DeviceGrant {
  envs: Readonly<Record<string, string>>
  mounts: readonly { containerPath: string; hostPath: string; readOnly: boolean }[]
  devices: readonly { containerPath: string; hostPath: string; permissions: string }[]
  annotations: Readonly<Record<string, string>>
  /** Qualified names of devices that their vendor described to the runtime (CDI). */
  cdiDevices?: readonly string[]
}

export const NO_GRANT: DeviceGrant = { envs: {}, mounts: [], devices: [], annotations: {} }

export interface DeviceSource {
  /** As containers ask for it: `example.com/radio`. */
  readonly resource: string
  allocate(ids: readonly string[]): Promise<DeviceGrant>
  /** Which of them it would rather give; undefined: it does not mind. */
  preferred?(choice: { available: readonly string[]; must: readonly string[]; size: number }): Promise<readonly string[]>
  /** Before each start of a container that has them. */
  preStart?(ids: readonly string[]): Promise<void>
}
