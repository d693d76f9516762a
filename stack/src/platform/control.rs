//! The control endpoint: started first, so that its address can be told to others, and stopped last.

use super::Context;
use super::part::Part;
use crate::control;
use crate::error::Error;
use crate::net;

/// Its base URL.
pub(super) async fn start(context: &Context, port: u16) -> Result<(Part, String), Error> {
    let listener = net::listen(port, "--control-port").await?;
    let address = listener
        .local_addr()
        .map_err(|source| Error::io("read a socket's address", source))?;
    let url = format!("http://{address}");
    context.folder.update(|state| {
        state.endpoints.control = Some(url.clone());
    })?;
    let control = context.control.clone();
    let endpoint = Part::task("the control endpoint", |shutdown| async move {
        control::serve(listener, control, shutdown)
            .await
            .map_err(|error| error.to_string())
    });
    Ok((endpoint, url))
}
