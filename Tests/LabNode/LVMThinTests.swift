import Conformance
import PumiceAgent
import Testing

struct LVMThinTests {
  @Test func keepsThePromisesOnVolumes() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkVolumes() }
  }

  @Test func keepsThePromisesOnSnapshots() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkSnapshots() }
  }

  @Test func keepsThePromisesOnCopies() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkCopies() }
  }

  @Test func keepsThePromisesOnReverts() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkReverts() }
  }
}
