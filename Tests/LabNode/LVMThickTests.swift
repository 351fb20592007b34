import Conformance
import PumiceAgent
import Testing

struct LVMThickTests {
  @Test func keepsThePromisesOnVolumes() async throws {
    try await LVMConformance.check(.thick) { try await $0.checkVolumes() }
  }

  @Test func keepsThePromisesOnSnapshots() async throws {
    try await LVMConformance.check(.thick) { try await $0.checkSnapshots() }
  }
}
