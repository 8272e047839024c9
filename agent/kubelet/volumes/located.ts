/** Where a volume of a pod is on this node. */
export interface Located {
  /** What containers get. */
  path: string
  readonly: boolean
  /** A block device, for volumeDevices. Default: a directory, for volumeMounts. */
  isDevice?: boolean
  /** Where the kernel has SELinux its files may be given the pod's label. Default false: others use them, too. */
  mayRelabel?: boolean
}
