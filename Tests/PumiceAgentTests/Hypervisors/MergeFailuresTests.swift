import PumiceModel
import Testing

@testable import PumiceAgent

struct MergeFailuresTests {
  @Test func aFailureIsToldOnceToWhoAsksForItsDisk() {
    let (failures, instance) = (MergeFailures(), InstanceID.random())
    let event = """
      {"device": "commit-vdb-libvirt-4-format", "len": 67108864, "offset": 65536, "speed": 0, "type": "commit",
       "error": "No space left on device"}
      """
    failures.note(event, of: instance)
    #expect(failures.take("vda", of: instance) == nil)
    #expect(failures.take("vdb", of: .random()) == nil)
    #expect(failures.take("vdb", of: instance) == "No space left on device")
    #expect(failures.take("vdb", of: instance) == nil)
  }

  @Test func laterSuccessTakesItBack() {
    let (failures, instance) = (MergeFailures(), InstanceID.random())
    failures.note(#"{"device": "commit-vdb-libvirt-4-format", "error": "Input/output error"}"#, of: instance)
    failures.note(#"{"device": "commit-vdb-libvirt-4-format", "len": 0}"#, of: instance)
    #expect(failures.take("vdb", of: instance) == nil)
  }

  @Test func whatIsNoMergeIsNotKept() {
    let (failures, instance) = (MergeFailures(), InstanceID.random())
    for event in [
      #"{"device": "copy-vdb-libvirt-4-format", "error": "x"}"#, "{}", "", #"{"device": "", "error": "x"}"#,
    ] {
      failures.note(event, of: instance)
    }
    #expect(failures.take("vdb", of: instance) == nil)
  }
}
