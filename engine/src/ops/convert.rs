//! Moving between devices and element types.

use std::sync::Arc;

use voxgrad_kernels::ops::convert;

use crate::{DType, Device, Result, Tensor};

impl Tensor {
    /// The same values on `device`; the gradient comes back to where this tensor is.
    pub fn to(&self, device: &Device) -> Result<Tensor> {
        let home = self.device();
        if home == *device {
            return Ok(self.clone());
        }
        let y = self.storage().to_device(device)?;
        Ok(Tensor::from_op("to", y, self.shape(), &[self], move |dy, _| {
            Ok(vec![Some(Arc::new(dy.to_device(&home)?))])
        }))
    }

    /// The same values in another element type, rounded to the nearest; a float becomes u32 by
    /// dropping its fraction, and negative or not-a-number becomes 0. No gradient flows through u32.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        let from = self.dtype();
        if from == dtype {
            return Ok(self.clone());
        }
        let y = convert::convert(&self.storage(), dtype)?;
        if dtype == DType::U32 || from == DType::U32 {
            return Ok(Tensor::from_storage(y, self.shape()));
        }
        Ok(Tensor::from_op("to_dtype", y, self.shape(), &[self], move |dy, _| {
            Ok(vec![Some(Arc::new(convert::convert(dy, from)?))])
        }))
    }
}
