//! `#[app::state]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Data, DeriveInput, Error, Fields, Ident, Token, Type};

/// `emits = Event`, or nothing.
pub(crate) struct Arguments {
    emits: Option<Type>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Self { emits: None });
        }
        let name: Ident = input.parse()?;
        if name != "emits" {
            return Err(Error::new(name.span(), "`#[app::state]` takes `emits = Event` only"));
        }
        input.parse::<Token![=]>()?;
        let emits = Some(input.parse()?);
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { emits })
    }
}

pub(crate) fn expand(arguments: &Arguments, item: DeriveInput) -> syn::Result<TokenStream> {
    let structure = match &item.data {
        Data::Struct(structure) => structure,
        Data::Enum(_) | Data::Union(_) => return Err(Error::new(item.ident.span(), "the state of an app is a struct")),
    };
    let fields = match &structure.fields {
        Fields::Named(fields) => fields.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => {
            return Err(Error::new(item.ident.span(), "the fields of the state need names: they are its ids"));
        }
    };
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "the state of an app has no parameters"));
    }
    let name = &item.ident;
    let idents: Vec<&Ident> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let types: Vec<&Type> = fields.iter().map(|field| &field.ty).collect();
    let texts: Vec<String> = idents.iter().map(|ident| ident.to_string().trim_start_matches("r#").to_owned()).collect();
    let event = match &arguments.emits {
        Some(event) => quote!(#event),
        None => quote!(::mesto_sdk::__private::NoEvents),
    };
    let body = match &structure.fields {
        Fields::Unit => quote!(Self),
        Fields::Named(_) | Fields::Unnamed(_) => quote! {
            Self { #(#idents: <#types as ::mesto_sdk::Part>::field(#texts),)* }
        },
    };
    Ok(quote! {
        #item

        impl ::mesto_sdk::__private::State for #name {
            type Event = #event;
            const NAME: &'static str = ::core::stringify!(#name);

            fn open() -> Self {
                #body
            }

            fn fields() -> ::std::vec::Vec<::mesto_sdk::StateField> {
                ::std::vec![#(::mesto_sdk::StateField {
                    name: #texts,
                    shape: <#types as ::mesto_sdk::Part>::shape(&mut ::core::default::Default::default()),
                },)*]
            }
        }
    })
}
