import Conformance
import PumiceAgent
import Testing

struct LVMThinSnapshotsTests {
  @Test func keepsThePromisesOfABackend() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkSnapshots() }
  }
}
