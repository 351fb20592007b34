import Conformance
import PumiceAgent
import Testing

struct LVMThickCopiesTests {
  @Test func keepsThePromisesOnCopies() async throws {
    try await LVMConformance.check(.thick) { try await $0.checkCopies() }
  }
}
