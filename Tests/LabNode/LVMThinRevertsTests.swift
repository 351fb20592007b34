import Conformance
import PumiceAgent
import Testing

struct LVMThinRevertsTests {
  @Test func keepsThePromisesOfABackend() async throws {
    try await LVMConformance.check(.thin) { try await $0.checkReverts() }
  }
}
