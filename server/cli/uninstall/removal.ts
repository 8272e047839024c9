/** What is to be removed, and how it is told. */
export interface Removal {
  dataDir: string
  /** Where pods' files are; other kubelets' may be beside them. */
  rootDir: string
  stateDir: string
  cgroupRoot: string
  kubeconfig: string
  /** One line for each thing that was really there and is gone now. */
  say: (line: string) => void
}
