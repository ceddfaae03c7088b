import Testing
import Zstd

@Test func theLibraryIsThere() { #expect(Zstd.libraryVersion >= 10_500) }
