/** Where a volume of a pod is on this node. */
export interface Located {
  /** What containers get. */
  path: string
  readonly: boolean
  /** A block device, for volumeDevices. Default: a directory, for volumeMounts. */
  isDevice?: boolean
}
