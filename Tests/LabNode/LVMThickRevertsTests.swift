import Conformance
import PumiceAgent
import Testing

struct LVMThickRevertsTests {
  @Test func keepsThePromisesOnReverts() async throws {
    try await LVMConformance.check(.thick) { try await $0.checkReverts() }
  }
}
