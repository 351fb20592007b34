import Conformance
import PumiceAgent
import Testing

struct LVMThinVolumesTests {
  @Test func keepsThePromisesOfABackend() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkVolumes() }
  }
}
