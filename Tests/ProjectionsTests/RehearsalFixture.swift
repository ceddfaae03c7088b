import EventLog
import Projections

/// Rehearses all that follows a table in a log.
func rehearse(_ log: EventLog, from table: VIMTable) throws(ReadError<ProjectionFault>) {
    var rehearsal = Rehearsal(on: table)
    try log.readBatches(from: table.position + 1) { (batch) throws(ProjectionFault) -> Bool in
        try rehearsal.take(batch, on: table)
        return true
    }
}
